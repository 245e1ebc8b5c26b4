"""The image of a server that really boots: Debian's kernel and PostgreSQL, busybox for the rest, in one small disk.

build     the whole of it, kept by the digest of what went in        disk      partition, file system, boot loader
contents  the files on the root disk and in the initial one          database  PostgreSQL's programs and its data
root/     files that go in as they are
"""

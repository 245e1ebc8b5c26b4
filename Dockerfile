# 镜像：程序与它所用的工具。 The image: the program, and the tools that it calls.
#
#   docker build -t registry.example.cn/tricenter:0.1.0 .
#
# Only a base image, Debian's packages and PyPI are asked, so that mirrors of the three are enough:
#   --build-arg BASE=… --build-arg DEBIAN_MIRROR=mirror.example.cn --build-arg PIP_INDEX_URL=https://…/simple
#
# Pinned: the base by its digest, Python packages by version and hash (requirements.lock). Debian's packages are those of
# the stable release, whose versions change for security only; an older one is not to be had a day after its fix.
ARG BASE=docker.io/library/debian:bookworm-20260918-slim@sha256:3783cc01769c7b2b1b83a5c5ad96c815348e28ed7da68e2e3687004faa906251

FROM ${BASE} AS build
ARG DEBIAN_MIRROR=deb.debian.org
ARG PIP_INDEX_URL=https://pypi.org/simple
RUN sed -i "s|//deb.debian.org/|//${DEBIAN_MIRROR}/|" /etc/apt/sources.list.d/debian.sources
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
WORKDIR /src
RUN python3 -m venv /opt/tricenter
COPY requirements.lock ./
RUN /opt/tricenter/bin/pip install --no-cache-dir --disable-pip-version-check --only-binary :all: --require-hashes -r requirements.lock
COPY setup.py pyproject.toml README.md ./
COPY policies policies
COPY orchestrator orchestrator
COPY drills drills
COPY exporters exporters
# What installs packages is of no use in the image that runs.
RUN /opt/tricenter/bin/pip install --no-cache-dir --no-index --no-deps --no-build-isolation . \
    && /opt/tricenter/bin/pip uninstall -y setuptools pip \
    && /opt/tricenter/bin/python -m compileall -q /opt/tricenter/lib

FROM ${BASE}
ARG DEBIAN_MIRROR=deb.debian.org
LABEL org.opencontainers.image.title="Tricenter" \
      org.opencontainers.image.description="两地三中心：租户、备份、容灾演练与 RPO/RTO. Tenants, backups, recovery drills, measured RPO and RTO" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN sed -i "s|//deb.debian.org/|//${DEBIAN_MIRROR}/|" /etc/apt/sources.list.d/debian.sources
# tini reaps what a killed child leaves behind. The database servers are started in scratch places, for restored data only:
# none of them gets a cluster of its own here. The pango libraries and the fonts are what PDF reports are written with.
RUN mkdir -p /etc/postgresql-common \
    && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
    && apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        ca-certificates python3 tini tzdata \
        restic pgbackrest postgresql-15 postgresql-client-15 mariadb-client mariadb-server-core qemu-utils openssh-client \
        libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-noto-cjk \
    && rm -rf /var/lib/apt/lists/* /var/log/*.log /var/log/apt \
    && groupadd --gid 10001 tricenter \
    && useradd --uid 10001 --gid 10001 --home-dir /var/lib/tricenter --no-create-home --shell /usr/sbin/nologin tricenter \
    && install -d -o 10001 -g 10001 -m 0711 /var/lib/tricenter
COPY --from=build /opt/tricenter /opt/tricenter
ENV PATH=/opt/tricenter/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/var/lib/tricenter \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number: Kubernetes can only tell from one that it is not root.
USER 10001:10001
WORKDIR /var/lib/tricenter
EXPOSE 15090
ENTRYPOINT ["/usr/bin/tini", "--", "tricenter"]
CMD ["--help"]

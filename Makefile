# 每个目标都会先装好自己需要的东西 · Every target first installs what it needs.
SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin

.PHONY: demo demo-down test test-slow unit integration check format bench docs clean

## demo: 三中心实验室上跑完主流程 the main job end to end on three real centres
demo: $(VENV)/.installed
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh

## demo-down: 停掉实验室与指标服务 stop the lab and the metrics server
demo-down: $(VENV)/.installed
	$(BIN)/tricenter lab down

## test: 全部测试，单元测试在前 all tests, unit tests first
test: unit integration

# A Ceph of one machine: monitor, manager, OSD and S3 gateway; a second kind of vault beside SeaweedFS.
CEPH := ceph-mon ceph-osd ceph-mgr radosgw ceph-common

## test-slow: 另一种存储 (Ceph) 上的攻击与对象锁；千次故障；百家单位；另外四种云服务的配额 attacks and object lock on another store, Ceph from Debian; a thousand faults; a hundred tenants; quotas of Octavia, Designate, Barbican and Manila
test-slow: $(VENV)/.installed
	@dpkg-query --show $(CEPH) >/dev/null 2>&1 || \
	  (echo "== apt: $(CEPH)" && apt-get update -qq && apt-get install -y -qq --no-install-recommends $(CEPH))
	$(BIN)/python -m pytest tests/slow

unit: $(VENV)/.installed
	$(BIN)/python -m pytest -n 4 --dist loadgroup tests/unit

integration: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" tests/integration/run

## check: 静态检查 lint, types, import rules
check: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy helm/build.py
	$(BIN)/lint-imports

format: $(VENV)/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

## bench: 与 restic copy、rclone 同场对比；调度、抓取与审计链的开销；百系统演练 against restic copy and rclone in the same run; what a tick, a scrape and the audit chain cost; a drill of a hundred systems
bench: $(VENV)/.installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.replicate
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.backups
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.many
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.tick
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.scrape
	$(BIN)/python -m tests.bench.audit
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.waves
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tests.bench.tenants

## docs: 由代码生成的文档与看板 the documents and dashboards that are made from the code
docs: $(VENV)/.installed
	$(BIN)/python -m exporters.dashboards.generate
	$(BIN)/python -m exporters.rules.write > exporters/rules/tricenter.rules.yml
	$(BIN)/python -m exporters.rules.table docs/monitoring.md
	$(BIN)/python helm/build.py
	$(BIN)/python -m exporters.metrics > docs/metrics.md

# What PDF reports are written with: the text libraries, and a font that has Chinese. pdftotext, qemu-img and curl are what
# tests read reports, disk images and servers with. pgbackrest archives databases.
PACKAGES := libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-noto-cjk poppler-utils qemu-utils curl pgbackrest

# What tests judge rules and scrape metrics with. No service of theirs is to start, here as a policy that goes again.
MONITORING := prometheus prometheus-alertmanager prometheus-pushgateway
POLICY := /usr/sbin/policy-rc.d

# Debian's python3 has no ensurepip of its own; the package that brings it is the only thing that a venv lacks.
$(VENV)/.installed: setup.py
	@python3 -c 'import ensurepip' 2>/dev/null || \
	  (echo "== apt: python3-venv" && apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv)
	@dpkg-query --show $(PACKAGES) >/dev/null 2>&1 || \
	  (echo "== apt: $(PACKAGES)" && apt-get update -qq && apt-get install -y -qq --no-install-recommends $(PACKAGES))
	@dpkg-query --show $(MONITORING) >/dev/null 2>&1 || (echo "== apt: $(MONITORING)" && apt-get update -qq && \
	  if [ ! -e $(POLICY) ]; then printf '#!/bin/sh\nexit 101\n' > $(POLICY); chmod 755 $(POLICY); \
	    trap 'rm -f $(POLICY)' EXIT; fi && \
	  apt-get install -y -qq --no-install-recommends $(MONITORING))
	@echo "== Python packages into $(VENV)"
	python3 -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[postgres,lab,test]'
	@touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

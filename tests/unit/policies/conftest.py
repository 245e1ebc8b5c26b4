"""A small site that is right, for tests that break it in one place."""

from __future__ import annotations

from pathlib import Path

import pytest

SITE = """\
site: small
title: {zh: 小, en: Small}
centres:
  production:
    title: {zh: 生产, en: Production}
    location: {latitude: 38.91, longitude: 121.61}
    cloud: {name: east}
  same-city:
    title: {zh: 同城, en: Same city}
    location: {latitude: 39.06, longitude: 121.78}
    vault:
      endpoint: https://near.internal
      credential: file:/secrets/{tenant}.near.json
      admin_credential: env:NEAR_ADMIN
      expirer_credential: file:/secrets/{tenant}.near.expirer.json
  provincial:
    title: {zh: 省级, en: Provincial}
    location: {latitude: 41.81, longitude: 123.43}
    vault:
      endpoint: https://far.internal
      credential: file:/secrets/{tenant}.far.json
      admin_credential: env:FAR_ADMIN
      expirer_credential: file:/secrets/{tenant}.far.expirer.json
zones:
  public: {title: {zh: 公用, en: Shared}, kind: shared}
repository_password: file:/secrets/{tenant}.password
escrow: {custodians: [李梅, 王强]}
"""

TENANT = """\
tenant: health
title: {zh: 卫健委, en: Health Commission}
unit_code: X-1
mlps_level: 3
contact: 张三
networks:
  ward: {zone: public, cidr: 10.1.0.0/24}
systems:
  his:
    title: {zh: 医院信息系统, en: HIS}
    tier: data-backup
    sources:
      files: {kind: path, path: /srv/his}
      db: {kind: postgresql, host: db, database: his, user: backup, password: env:HIS}
"""


@pytest.fixture
def site_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "small"
    (folder / "tenants").mkdir(parents=True)
    (folder / "site.yaml").write_text(SITE, "utf-8")
    (folder / "tenants" / "health.yaml").write_text(TENANT, "utf-8")
    return folder

#!/usr/bin/env bash
# The main job, end to end, as a person would type it: each command is shown, then run. May be run again at any time.
set -euo pipefail
cd "$(dirname "$0")/.."
export TRICENTER_SITE=$PWD/examples/dalian
began=$SECONDS

# The server of this demo, which it kills once to show that nothing is lost by it.
export TRICENTER_SERVER=http://127.0.0.1:15095
log=$(mktemp)
server=
serve() {
  printf '\033[2m$ tricenter serve --no-schedule --listen %s &\033[0m\n' "${TRICENTER_SERVER#http://}"
  tricenter serve --no-schedule --listen "${TRICENTER_SERVER#http://}" >>"$log" 2>&1 &
  server=$!
  for _ in $(seq 60); do
    if tricenter run list --limit 1 >/dev/null 2>&1; then return; fi
    sleep 0.5
  done
  cat "$log"
  return 1
}
end() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  server=
}
trap 'end; rm -f "$log"' EXIT

title() { printf '\n\033[1;36m== %s\033[0m  (%d s)\n' "$*" $((SECONDS - began)); }
run() { printf '\033[2m$ %s\033[0m\n' "$*"; "$@"; }

title "三中心实验室 three centres on this machine"
run tricenter lab up
eval "$(tricenter lab env)"

title "站点 the site"
run tricenter validate
run tricenter db upgrade

title "委办局租户 tenants on the clouds of production and the same city"
run tricenter tenant plan natural-resources
run tricenter tenant apply --yes | tail -n 3
run tricenter tenant list

title "OpenStack 命令行所见 the same, as the openstack client sees it"
run openstack --os-cloud production project list --domain natural-resources --long -c Name -c Description -c Enabled
run openstack --os-cloud production quota show --compute -c Resource -c Limit \
  "$(openstack --os-cloud production project show --domain natural-resources natural-resources -f value -c id)"
run openstack --os-cloud production network list --project-domain natural-resources --project natural-resources

title "各委办局的业务数据 the bureaus' own data: documents, databases, a volume"
run tricenter lab seed

if [ "$(tricenter backup list --output json)" = "[]" ]; then
  title "首次备份到同城，复制到省级 the first backup to the same-city vault, replicated to the provincial one"
  run tricenter backup run
  run tricenter replicate
fi

title "业务继续，增量备份与复制 business goes on: an incremental backup, replicated"
run tricenter lab seed --grow
run tricenter backup run
run tricenter replicate

title "restic 所见 the same, as plain restic sees it at both vaults"
for centre in same-city provincial; do
  run tricenter restic --centre "$centre" natural-resources/land-registry -- snapshots --compact --no-lock
done

title "演练 a recovery drill from each vault"
run tricenter drill run land-registry --centre same-city
run tricenter drill run one-window --centre same-city
run tricenter drill run --all --centre provincial

title "任务引擎 the engine: a drill outlives the server that was killed in the middle of it"
serve
started=$(tricenter run start drill plan=land-registry centre=provincial --output json |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])')
printf '任务 run %s\n' "$started"
sleep 4
run kill -KILL "$server"
wait "$server" 2>/dev/null || true
serve
run tricenter run watch "$started"
end

title "定时任务 what is done next by itself, and why"
run tricenter schedule show natural-resources --hours 2

title "看板 the board"
run tricenter status || [ $? -eq 4 ]

title "指标 metrics"
url=$(tricenter lab metrics)
python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode())' "$url/metrics" |
  grep -E '^tricenter_(rpo|rto)_(objective|actual|measured)_seconds.*one-window' | grep -v 'stage="[a-su-z]'

drill=$(tricenter drill list --output json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["drill"])')
report=$(tricenter drill report "$drill")
printf '\n\033[1;32m== 完成 done\033[0m in %d s\n' $((SECONDS - began))
printf '看板 board    export PATH=%s/.venv/bin:$PATH TRICENTER_SITE=%s; eval "$(tricenter lab env)"; tricenter status\n' \
  "$PWD" "$TRICENTER_SITE"
printf '报告 report   %s\n' "$report"
printf '指标 metrics  %s/metrics\n' "$url"
printf '停止 stop     make demo-down\n'

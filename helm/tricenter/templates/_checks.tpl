{{/* What the schema cannot say: values that are right each by itself, and make no sense together. */}}
{{- define "tricenter.checks" -}}
{{- $files := .Values.site.files -}}
{{- $git := .Values.site.git.repository -}}
{{- if and $files $git -}}
{{- fail "site: 只能给出 files 或 git.repository 之一 give site.files or site.git.repository, not both" -}}
{{- end -}}
{{- if not (or $files $git) -}}
{{- fail "site: 没有站点，请给出 no site: give site.files with site.yaml (--set-file 'site.files.site\\.yaml=SITE/site.yaml'), or site.git.repository" -}}
{{- end -}}
{{- if not (include "tricenter.postgresql" .) -}}
{{- range $what, $on := dict "worker.enabled" .Values.worker.enabled "exporter.enabled" .Values.exporter.enabled "schedule.by=cronjobs" (eq .Values.schedule.by "cronjobs") -}}
{{- if $on -}}
{{- fail (printf "%s: 需要 PostgreSQL，请给出 needs PostgreSQL: give database.secret, a Secret with its URL" $what) -}}
{{- end -}}
{{- end -}}
{{- if not .Values.state.persistent -}}
{{- fail "state.persistent: SQLite 目录库在状态卷上，不可为 false the SQLite catalogue stands on the state volume; give database.secret, or leave it true" -}}
{{- end -}}
{{- if eq .Values.state.accessMode "ReadWriteMany" -}}
{{- fail "state.accessMode: SQLite 不可放在共享卷上 SQLite must not stand on a shared volume; give database.secret, or use ReadWriteOnce" -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.server.enabled .Values.worker.enabled .Values.exporter.enabled (eq .Values.schedule.by "cronjobs")) -}}
{{- fail "没有启用任何部分 nothing is enabled: server, worker, exporter or schedule.by=cronjobs" -}}
{{- end -}}
{{- if and .Values.serviceMonitor.enabled (not (include "tricenter.scraped" .)) -}}
{{- fail "serviceMonitor.enabled: 没有可抓取的进程，请启用 nothing is there to be scraped: enable server or exporter" -}}
{{- end -}}
{{- with .Values.worker.autoscaling -}}
{{- if and .enabled (gt (int .minReplicas) (int .maxReplicas)) -}}
{{- fail (printf "worker.autoscaling: minReplicas %d 大于 is above maxReplicas %d" (int .minReplicas) (int .maxReplicas)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

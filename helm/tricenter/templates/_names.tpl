{{/* The names of the release's objects: RELEASE-tricenter, or RELEASE alone when it says tricenter already. At most 34
     characters: the names of CronJobs, which may have 52, end with a name of 17. */}}
{{- define "tricenter.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 34 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" (.Release.Name | trunc 24 | trimSuffix "-") .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of the release; it never changes between versions. */}}
{{- define "tricenter.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tricenter.labels" -}}
{{ include "tricenter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "tricenter.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "tricenter.fullname" .) -}}
{{- end -}}

{{/* (dict "image" … "tag" …): a digest decides alone, a tag is for people to read. */}}
{{- define "tricenter.image" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" .image.repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" .image.repository (.image.tag | default .tag) -}}
{{- end -}}
{{- end -}}

{{- define "tricenter.postgresql" -}}
{{- if .Values.database.secret }}yes{{ end -}}
{{- end -}}

{{/* Whether workers and CronJobs have the state volume too. */}}
{{- define "tricenter.sharedState" -}}
{{- if and .Values.state.persistent (eq .Values.state.accessMode "ReadWriteMany") }}yes{{ end -}}
{{- end -}}

{{/* Who is scraped: one process, or Prometheus would have every series twice. */}}
{{- define "tricenter.scraped" -}}
{{- if .Values.exporter.enabled }}exporter{{ else if .Values.server.enabled }}server{{ end -}}
{{- end -}}

{{/* The name of a file as part of an object's: files/rules/tricenter.rules.yml is "rules". */}}
{{- define "tricenter.stem" -}}
{{- regexReplaceAll "\\.(ya?ml|json)$" (base .) "" | replace "." "-" | replace "_" "-" | trimPrefix "tricenter-" | lower -}}
{{- end -}}

{{/* A file of the chart, with links that begin where the site has its documents and its server. */}}
{{- define "tricenter.linked" -}}
{{- $root := index . 0 -}}
{{- $text := $root.Files.Get (index . 1) -}}
{{- with $root.Values.docsUrl }}{{ $text = replace "https://tricenter.example.gov.cn/docs" . $text }}{{ end -}}
{{- with $root.Values.serverUrl }}{{ $text = replace "http://127.0.0.1:15090" . $text }}{{ end -}}
{{- $text -}}
{{- end }}

{{/* The site as a ConfigMap's data. A key has no slash: tenants/x.yaml is kept as tenants_x.yaml, and mounted where it
     belongs. The overlay says where the state volume is. */}}
{{- define "tricenter.siteData" -}}
{{- if not .Values.site.git.repository }}
{{- range $path, $text := .Values.site.files }}
{{ $path | replace "/" "_" }}: {{ $text | quote }}
{{- end }}
{{- end }}
overlay: {{ merge (dict "state" "/var/lib/tricenter") .Values.site.overlay | toYaml | quote }}
{{- end -}}

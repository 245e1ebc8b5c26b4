{{/* A Job of Helm's: (dict "root" $ "name" … "when" … "weight" … "args" …). One that failed stays, for its log. */}}
{{- define "tricenter.hook" -}}
{{- $hook := printf "%s-hook" (include "tricenter.fullname" .root) -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ include "tricenter.fullname" .root }}-{{ .name }}
  labels:
    {{- include "tricenter.labels" .root | nindent 4 }}
    app.kubernetes.io/component: hook
  annotations:
    helm.sh/hook: {{ .when }}
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  backoffLimit: 2
  activeDeadlineSeconds: {{ .root.Values.hooks.deadlineSeconds }}
  template:
    metadata: {{- include "tricenter.podMetadata" (dict "root" .root "component" "hook") | nindent 6 }}
    spec: {{- include "tricenter.pod" (dict "root" .root "args" .args "resources" .root.Values.hooks.resources "lone" true "siteConfig" $hook "account" $hook "restart" "Never") | nindent 6 }}
{{- end -}}

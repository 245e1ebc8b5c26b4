{{/* A Deployment of the program: what tricenter.pod takes, and "replicas" (none: the autoscaler's). Pods are replaced, not
     rolled: one engine to a SQLite file, and no program of before on a catalogue that was upgraded. What stops hands its
     runs back to the queue. */}}
{{- define "tricenter.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "tricenter.fullname" .root }}-{{ .component }}
  labels:
    {{- include "tricenter.labels" .root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  {{- if .root.Values.stopped }}
  replicas: 0
  {{- else if hasKey . "replicas" }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  strategy:
    type: Recreate
  selector:
    matchLabels:
      {{- include "tricenter.selector" .root | nindent 6 }}
      app.kubernetes.io/component: {{ .component }}
  template:
    metadata: {{- include "tricenter.podMetadata" . | nindent 6 }}
    spec: {{- include "tricenter.pod" . | nindent 6 }}
      {{- with .spread }}
      topologySpreadConstraints: {{- toYaml . | nindent 8 }}
      {{- end }}
{{- end -}}

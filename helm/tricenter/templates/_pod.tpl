{{/* One pod of the program: (dict "root" $ "component" … "args" … "resources" … and where wanted "serves" (it has a port),
     "ready" (the page that readiness asks), "state" (the claim of the state volume, else it goes with the pod), "upgrade"
     (bring the SQLite catalogue to this program's version first), "lone" (it needs no state, secrets or scratch),
     "siteConfig" (another ConfigMap of the site), "restart", "grace").
     All that runs the program is made of this, so that none of it is less guarded than the others. */}}
{{- define "tricenter.pod" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $git := $values.site.git -}}
serviceAccountName: {{ .account | default (include "tricenter.serviceAccount" $root) }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with $values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .restart }}
restartPolicy: {{ . }}
{{- end }}
terminationGracePeriodSeconds: {{ .grace | default 45 }}
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $values.runAsUser }}
  runAsGroup: {{ $values.runAsGroup }}
  fsGroup: {{ $values.runAsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- if or $git.repository (not .lone) }}
initContainers:
  {{- if $git.repository }}
  - name: site
    image: {{ include "tricenter.image" (dict "image" $git.image "tag" "") | quote }}
    imagePullPolicy: {{ $git.image.pullPolicy }}
    args:
      - --repo={{ $git.repository }}
      - --ref={{ $git.ref }}
      - --root=/site
      - --link=current
      - --one-time
      - --max-failures=5
      {{- if $git.secret }}
      {{- if hasPrefix "https://" $git.repository }}
      - --password-file=/etc/git-secret/password
      {{- else }}
      - --ssh-key-file=/etc/git-secret/ssh
      - --ssh-known-hosts-file=/etc/git-secret/known_hosts
      {{- end }}
      {{- end }}
    env:
      - name: HOME
        value: /tmp
      {{- if and $git.secret (hasPrefix "https://" $git.repository) }}
      - name: GITSYNC_USERNAME
        valueFrom:
          secretKeyRef:
            name: {{ $git.secret }}
            key: username
      {{- end }}
      {{- range $name, $value := $values.env }}
      - name: {{ $name }}
        value: {{ $value | quote }}
      {{- end }}
    resources: {{- toYaml $git.resources | nindent 6 }}
    securityContext:
      # ssh wants to know who it is, and the image knows this user only.
      runAsUser: 65533
      runAsGroup: 65533
      {{- include "tricenter.guarded" $root | nindent 6 }}
    volumeMounts:
      - {name: site, mountPath: /site}
      - {name: tmp, mountPath: /tmp}
      {{- if $git.secret }}
      - {name: git-secret, mountPath: /etc/git-secret, readOnly: true}
      {{- end }}
  {{- end }}
  {{- if not .lone }}
  # Kubernetes gives the files of Secrets, and of a volume that it mounts anew, to a group as well; the program reads no
  # secret that others than its owner could read.
  - name: secrets
    image: {{ include "tricenter.image" (dict "image" $values.image "tag" $root.Chart.AppVersion) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    command:
      - sh
      - -euc
      - |
        {{- if $values.secrets.files }}
        install -m 0600 -t /etc/tricenter/secrets /secrets/files/*
        {{- end }}
        {{- with $values.secrets.apiToken.secret }}
        install -m 0600 -T /secrets/api-token/token /etc/tricenter/secrets/.api-token
        {{- end }}
        install -d -m 0700 /var/lib/tricenter/secrets
        {{- if $values.secrets.state }}
        install -m 0600 -t /var/lib/tricenter/secrets /secrets/state/*
        {{- end }}
        find /var/lib/tricenter/secrets -perm /077 -exec chmod go= {} +
    resources: {{- toYaml $values.hooks.resources | nindent 6 }}
    securityContext: {{- include "tricenter.guarded" $root | nindent 6 }}
    volumeMounts:
      - {name: secrets, mountPath: /etc/tricenter/secrets}
      - {name: state, mountPath: /var/lib/tricenter}
      {{- if $values.secrets.files }}
      - {name: secret-files, mountPath: /secrets/files, readOnly: true}
      {{- end }}
      {{- if $values.secrets.apiToken.secret }}
      - {name: api-token, mountPath: /secrets/api-token, readOnly: true}
      {{- end }}
      {{- if $values.secrets.state }}
      - {name: secret-state, mountPath: /secrets/state, readOnly: true}
      {{- end }}
  {{- end }}
  {{- if .upgrade }}
  # The server is replaced, never doubled, so that nothing works on this catalogue now.
  - name: upgrade
    image: {{ include "tricenter.image" (dict "image" $values.image "tag" $root.Chart.AppVersion) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args: [db, upgrade]
    env: {{- include "tricenter.env" . | nindent 6 }}
    resources: {{- toYaml $values.hooks.resources | nindent 6 }}
    securityContext: {{- include "tricenter.guarded" $root | nindent 6 }}
    volumeMounts: {{- include "tricenter.mounts" . | nindent 6 }}
  {{- end }}
{{- end }}
containers:
  - name: tricenter
    image: {{ include "tricenter.image" (dict "image" $values.image "tag" $root.Chart.AppVersion) | quote }}
    imagePullPolicy: {{ $values.image.pullPolicy }}
    args: {{- toYaml .args | nindent 6 }}
    env: {{- include "tricenter.env" . | nindent 6 }}
    {{- if .serves }}
    ports:
      - name: http
        containerPort: 15090
    startupProbe:
      httpGet: {path: /, port: http}
      periodSeconds: 2
      failureThreshold: {{ div $values.probes.startupSeconds 2 }}
    readinessProbe:
      httpGet: {path: {{ .ready }}, port: http}
      periodSeconds: {{ $values.probes.periodSeconds }}
      timeoutSeconds: {{ $values.probes.timeoutSeconds }}
    livenessProbe:
      httpGet: {path: /, port: http}
      periodSeconds: {{ $values.probes.periodSeconds }}
      timeoutSeconds: {{ $values.probes.timeoutSeconds }}
      failureThreshold: 4
    {{- end }}
    resources: {{- toYaml .resources | nindent 6 }}
    securityContext: {{- include "tricenter.guarded" $root | nindent 6 }}
    volumeMounts: {{- include "tricenter.mounts" . | nindent 6 }}
volumes: {{- include "tricenter.volumes" . | nindent 2 }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What no container of ours may do. */}}
{{- define "tricenter.guarded" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "tricenter.env" -}}
{{- $values := .root.Values -}}
- name: TRICENTER_SITE
  value: {{ include "tricenter.sitePath" .root }}
- name: TRICENTER_OVERLAY
  value: /etc/tricenter/overlay/overlay.yaml
- name: HOME
  value: /tmp
{{- if $values.database.secret }}
- name: TRICENTER_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ $values.database.secret }}
      key: {{ $values.database.key }}
{{- end }}
{{- if not .lone }}
{{- if $values.secrets.apiToken.secret }}
- name: TRICENTER_API_TOKEN_FILE
  value: /etc/tricenter/secrets/.api-token
{{- end }}
{{- range $values.secrets.env }}
- name: {{ .name }}
  valueFrom:
    secretKeyRef:
      name: {{ .secret }}
      key: {{ .key }}
{{- end }}
{{- end }}
{{- range $name, $value := $values.env }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "tricenter.sitePath" -}}
{{- if .Values.site.git.repository -}}
/etc/tricenter/site/current{{ with .Values.site.git.path }}/{{ . }}{{ end }}
{{- else -}}
/etc/tricenter/site
{{- end -}}
{{- end -}}

{{- define "tricenter.mounts" -}}
{{- $values := .root.Values -}}
- {name: site, mountPath: /etc/tricenter/site, readOnly: true}
- {name: overlay, mountPath: /etc/tricenter/overlay, readOnly: true}
- {name: tmp, mountPath: /tmp}
{{- if not .lone }}
- {name: secrets, mountPath: /etc/tricenter/secrets, readOnly: true}
{{- if $values.secrets.clouds }}
- {name: clouds, mountPath: /etc/openstack, readOnly: true}
{{- end }}
- {name: state, mountPath: /var/lib/tricenter}
- {name: cache, mountPath: /var/lib/tricenter/cache}
- {name: scratch, mountPath: /var/lib/tricenter/scratch}
{{- with $values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* A mode stands in decimal, 256 being 0400: what a 0 before a number means is not the same to all that read YAML. */}}
{{- define "tricenter.volumes" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $config := .siteConfig | default (printf "%s-site" (include "tricenter.fullname" $root)) -}}
- name: site
{{- if $values.site.git.repository }}
  emptyDir: {}
{{- else }}
  configMap:
    name: {{ $config }}
    items:
      {{- range $path, $_ := $values.site.files }}
      - {key: {{ $path | replace "/" "_" | quote }}, path: {{ $path | quote }}}
      {{- end }}
{{- end }}
- name: overlay
  configMap:
    name: {{ $config }}
    items:
      - {key: overlay, path: overlay.yaml}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- if and $values.site.git.repository $values.site.git.secret }}
- name: git-secret
  secret:
    secretName: {{ $values.site.git.secret }}
    defaultMode: 256
{{- end }}
{{- if not .lone }}
- name: secrets
  emptyDir:
    medium: Memory
    sizeLimit: 8Mi
{{- if $values.secrets.files }}
- name: secret-files
  projected:
    defaultMode: 256
    sources:
      {{- range $values.secrets.files }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- end }}
{{- if $values.secrets.state }}
- name: secret-state
  projected:
    defaultMode: 256
    sources:
      {{- range $values.secrets.state }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- end }}
{{- with $values.secrets.apiToken }}
{{- if .secret }}
- name: api-token
  secret:
    secretName: {{ .secret }}
    defaultMode: 256
    items:
      - {key: {{ .key | quote }}, path: token}
{{- end }}
{{- end }}
{{- with $values.secrets.clouds }}
- name: clouds
  secret:
    secretName: {{ . }}
    defaultMode: 256
{{- end }}
- name: state
{{- if .state }}
  persistentVolumeClaim:
    claimName: {{ $values.state.existingClaim | default (printf "%s-state" (include "tricenter.fullname" $root)) }}
{{- else }}
  emptyDir:
    sizeLimit: {{ $values.state.size }}
{{- end }}
{{ include "tricenter.room" (dict "root" $root "name" "cache" "room" $values.cache) }}
{{ include "tricenter.room" (dict "root" $root "name" "scratch" "room" $values.scratch) }}
{{- with $values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Room that comes and goes with its pod: on the node, or a volume of its own where that is too small. */}}
{{- define "tricenter.room" -}}
- name: {{ .name }}
{{- if .room.storageClass }}
  ephemeral:
    volumeClaimTemplate:
      metadata:
        labels: {{- include "tricenter.labels" .root | nindent 10 }}
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ .room.storageClass }}
        resources:
          requests:
            storage: {{ .room.size }}
{{- else }}
  emptyDir:
    sizeLimit: {{ .room.size }}
{{- end }}
{{- end -}}

{{/* Labels and annotations of a pod: (dict "root" $ "component" …). The program reads its site once: another site is
     another pod. */}}
{{- define "tricenter.podMetadata" -}}
annotations:
  checksum/site: {{ .root.Values.site | toJson | sha256sum }}
  {{- with .root.Values.podAnnotations }}{{ toYaml . | nindent 2 }}{{ end }}
labels:
  {{- include "tricenter.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  {{- with .root.Values.podLabels }}{{ toYaml . | nindent 2 }}{{ end }}
{{- end -}}

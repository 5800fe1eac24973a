{{- define "strata.labels" -}}
app.kubernetes.io/name: strata
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "strata.metadata" -}}
name: strata-{{ .component }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "strata.labels" . | nindent 2 }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
  strata/environment: {{ .root.Values.environment }}
{{- end -}}

{{- define "strata.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "strata.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "strata.image" -}}
{{ .repository }}@{{ .digest }}
{{- end -}}

{{/* The address of PostgreSQL without a login: what services have. */}}
{{- define "strata.server" -}}
host={{ .Values.postgresql.host }} port={{ .Values.postgresql.port }} sslmode={{ .Values.postgresql.sslmode }} sslrootcert=/etc/strata/postgres-ca/ca.crt
{{- end -}}

{{/* Variables of every process of ours. */}}
{{- define "strata.environment" -}}
- {name: STRATA_ENVIRONMENT, value: {{ .Values.environment }}}
- {name: STRATA_LAKE_ROOT, value: {{ .Values.objectStore.lakeRoot | quote }}}
- {name: STRATA_LANDING_ROOT, value: {{ .Values.objectStore.landingRoot | quote }}}
- {name: STRATA_UI_URL, value: "https://{{ .Values.proxy.host }}"}
{{- if .Values.production.host }}
- {name: STRATA_SOURCE_DSN, value: "host={{ .Values.production.host }} port={{ .Values.postgresql.port }} sslmode=verify-full sslrootcert=/etc/strata/postgres-ca/ca.crt"}
- {name: STRATA_SOURCE_LAKE_ROOT, value: {{ .Values.production.lakeRoot | quote }}}
{{- end }}
{{- with .Values.objectStore.endpoint }}
- {name: STRATA_S3_ENDPOINT, value: {{ . | quote }}}
{{- end }}
{{- with .Values.objectStore.region }}
- {name: AWS_REGION, value: {{ . | quote }}}
{{- end }}
{{- if .Values.customers.configMap }}
- {name: STRATA_CUSTOMERS, value: /etc/strata/customers}
{{- end }}
{{- with .Values.notices.sink }}
- {name: STRATA_NOTIFY, value: {{ . | quote }}}
{{- end }}
{{- if .Values.notices.secret }}
{{- range $variable, $key := dict "STRATA_NOTIFY_USER" "user" "STRATA_NOTIFY_PASSWORD" "password" "STRATA_NOTIFY_TOKEN" "token" }}
- name: {{ $variable }}
  valueFrom: {secretKeyRef: {name: {{ $.Values.notices.secret }}, key: {{ $key }}, optional: true}}
{{- end }}
{{- end }}
{{- end -}}

{{- define "strata.service" -}}
{{ include "strata.environment" . }}
- {name: STRATA_DSN, value: {{ include "strata.server" . | quote }}}
{{- end -}}

{{/* The administrator's login stands in jobs and the operator's pod alone. */}}
{{- define "strata.administrator" -}}
{{ include "strata.environment" . }}
- name: POSTGRES_ADMINISTRATOR
  valueFrom: {secretKeyRef: {name: {{ .Values.postgresql.administratorSecret }}, key: username}}
- name: POSTGRES_PASSWORD
  valueFrom: {secretKeyRef: {name: {{ .Values.postgresql.administratorSecret }}, key: password}}
- {name: STRATA_DSN, value: "{{ include "strata.server" . }} user='$(POSTGRES_ADMINISTRATOR)' password='$(POSTGRES_PASSWORD)'"}
{{- end -}}

{{- define "strata.codeServerAddresses" -}}
{{- $found := list -}}
{{- range .Values.codeServers }}{{ $found = append $found (printf "%s=strata-code-%s:4000" .name .name) }}{{ end -}}
{{ join "," $found }}
{{- end -}}

{{/* Volumes: the shared state, what a process writes for itself, the server's authority, customers. */}}
{{- define "strata.volumes" -}}
- {name: state, persistentVolumeClaim: {claimName: {{ .Values.state.claim }}}}
- {name: own, emptyDir: {sizeLimit: 1Gi}}
- {name: temporary, emptyDir: {sizeLimit: 2Gi}}
- name: postgres-ca
  secret: {secretName: {{ .Values.postgresql.caSecret }}, items: [{key: ca.crt, path: ca.crt}]}
{{- if .Values.customers.configMap }}
- {name: customers, configMap: {name: {{ .Values.customers.configMap }}}}
{{- end }}
{{- end -}}

{{- define "strata.stateVolumes" -}}
{{ include "strata.volumes" . }}
- {name: scratch, emptyDir: {sizeLimit: {{ .Values.scratch }}}}
{{- end -}}

{{/* For what reads and writes customers' data: the whole state; Dagster's home and scratch files are the pod's own. */}}
{{- define "strata.stateMounts" -}}
- {name: state, mountPath: /var/lib/strata}
- {name: own, mountPath: /var/lib/strata/dagster}
- {name: scratch, mountPath: /var/lib/strata/tmp}
{{ include "strata.commonMounts" . }}
{{- end -}}

{{/* For webserver and daemon: of the passwords Dagster's own alone. */}}
{{- define "strata.dagsterMounts" -}}
- {name: own, mountPath: /var/lib/strata}
- {name: state, mountPath: /var/lib/strata/secrets/strata_dagster, subPath: secrets/strata_dagster, readOnly: true}
- {name: instance, mountPath: /etc/strata/instance, readOnly: true}
{{ include "strata.commonMounts" . }}
{{- end -}}

{{- define "strata.commonMounts" -}}
- {name: temporary, mountPath: /tmp}
- {name: postgres-ca, mountPath: /etc/strata/postgres-ca, readOnly: true}
{{- if .Values.customers.configMap }}
- {name: customers, mountPath: /etc/strata/customers, readOnly: true}
{{- end }}
{{- end -}}

{{/* A service account's token for one container, instead of one in every container of the pod. */}}
{{- define "strata.tokenVolume" -}}
- name: cluster
  projected:
    defaultMode: 0440
    sources:
      - serviceAccountToken: {path: token, expirationSeconds: 3607}
      - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
      - downwardAPI: {items: [{path: namespace, fieldRef: {fieldPath: metadata.namespace}}]}
{{- end -}}

{{- define "strata.tokenMount" -}}
- {name: cluster, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
{{- end -}}

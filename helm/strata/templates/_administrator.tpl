{{/* A pod with the administrator's login of PostgreSQL and no way in. */}}
{{- define "strata.administratorPod" -}}
{{- $root := .root -}}
serviceAccountName: {{ ternary "strata" "default" (not (not .probed)) }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- if not .probed }}
restartPolicy: Never
{{- end }}
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{ toJson . }}
{{- end }}
securityContext: {{- include "strata.podSecurity" $root | nindent 2 }}
containers:
  - name: {{ .name }}
    image: {{ include "strata.image" $root.Values.image }}
    imagePullPolicy: Always
    {{- with .command }}
    command: {{ toJson . }}
    {{- end }}
    {{- with .args }}
    args: {{ toJson . }}
    {{- end }}
    env: {{- include "strata.administrator" $root | nindent 6 }}
    securityContext: {{- include "strata.containerSecurity" $root | nindent 6 }}
    resources: {{- get $root.Values.classes .class | toYaml | nindent 6 }}
    {{- if .probed }}
    readinessProbe: {exec: {command: [test, -f, /var/lib/strata/secrets/strata_dagster]}, periodSeconds: 60}
    livenessProbe: {exec: {command: [test, -d, /var/lib/strata]}, periodSeconds: 60}
    {{- end }}
    volumeMounts: {{- include "strata.stateMounts" $root | nindent 6 }}
volumes: {{- include "strata.stateVolumes" $root | nindent 2 }}
{{- end -}}

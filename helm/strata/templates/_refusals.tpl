{{/* What is refused with its reason. values.schema.json says what a value may look like; here stands what may not be asked for together. */}}
{{- define "strata.refusals" -}}
{{- $env := .Values.environment -}}
{{- if not (has $env (list "dev" "staging" "prod")) }}{{ fail "environment is dev, staging or prod: install with one of values-dev.yaml, values-staging.yaml, values-prod.yaml" }}{{ end -}}
{{- if not .Values.proxy.enabled }}{{ fail "proxy.enabled=false would open Dagster's pages, which know no login and can launch and wipe: there is no installation without the proxy" }}{{ end -}}
{{- if ne .Values.service.type "ClusterIP" }}{{ fail (printf "service.type=%s would open the pages beside the ingress: it is ClusterIP" .Values.service.type) }}{{ end -}}
{{- range $what, $groups := dict "proxy.allowedGroups" .Values.proxy.allowedGroups }}
{{- if not $groups }}{{ fail (printf "%s is empty: everybody with an account at the issuer could open the pages" $what) }}{{ end }}
{{- end -}}
{{- if not (hasPrefix "https://" .Values.proxy.issuer) }}{{ fail "proxy.issuer is the https:// address of your OpenID provider: without one nobody is asked who they are" }}{{ end -}}
{{- if and .Values.viewers.enabled (or (not .Values.viewers.host) (not .Values.viewers.allowedGroups)) }}{{ fail "viewers need a host and allowedGroups of their own" }}{{ end -}}
{{- range $what, $image := dict "image" .Values.image "proxy.image" .Values.proxy.image }}
{{- if not (regexMatch "^sha256:[0-9a-f]{64}$" $image.digest) }}{{ fail (printf "%s.digest is not sha256:<64 hexadecimal digits>: an image is named by its digest, since a tag can move" $what) }}{{ end }}
{{- end -}}
{{- if ne .Values.postgresql.sslmode "verify-full" }}{{ fail (printf "postgresql.sslmode=%s would send passwords to whoever answers: it is verify-full" .Values.postgresql.sslmode) }}{{ end -}}
{{- $named := dict "proxy.secret" .Values.proxy.secret "ingress.tlsSecret" .Values.ingress.tlsSecret "postgresql.caSecret" .Values.postgresql.caSecret "postgresql.administratorSecret" .Values.postgresql.administratorSecret "state.claim" .Values.state.claim -}}
{{- range $what, $name := $named }}
{{- if not (hasSuffix (printf "-%s" $env) $name) }}{{ fail (printf "%s is %q: it ends in -%s, so that what belongs to one environment cannot be given to another unseen" $what $name $env) }}{{ end }}
{{- end -}}
{{- $places := dict "postgresql.host" .Values.postgresql.host "objectStore.lakeRoot" .Values.objectStore.lakeRoot "objectStore.landingRoot" .Values.objectStore.landingRoot "proxy.host" .Values.proxy.host -}}
{{- range $what, $place := $places }}
{{- if not $place }}{{ fail (printf "%s is empty" $what) }}{{ end }}
{{- range $other := list "dev" "staging" "prod" "production" "development" }}
{{- if and (not (hasPrefix $env $other)) (regexMatch (printf "(^|[^a-z0-9])%s([^a-z0-9]|$)" $other) (lower $place)) }}
{{- fail (printf "%s is %s, which is %s's, and this is %s: an environment never works on another's data" $what $place $other $env) }}
{{- end }}
{{- end }}
{{- end -}}
{{- if and (ne $env "staging") (or .Values.production.host .Values.production.lakeRoot .Values.network.production) }}{{ fail (printf "production.* is set and this is %s: staging alone reads production's bronze" $env) }}{{ end -}}
{{- range $what, $ranges := dict "postgresql" .Values.network.postgresql "production" .Values.network.production "objectStore" .Values.network.objectStore "identityProvider" .Values.network.identityProvider "kubernetesApi" .Values.network.kubernetesApi "notices" .Values.network.notices }}
{{- range $ranges }}
{{- if or (regexMatch "/[0-7]$" .) (regexMatch "^169[.]" .) }}{{ fail (printf "network.%s has %s, which reaches the cloud's metadata address 169.254.169.254 or far more than one service" $what .) }}{{ end }}
{{- end }}
{{- end -}}
{{- if and .Values.runs.giantsApart (not .Values.network.kubernetesApi) }}{{ fail "runs.giantsApart needs network.kubernetesApi: the daemon asks the cluster for a pod" }}{{ end -}}
{{- range .Values.codeServers }}
{{- if .image }}{{ if not (regexMatch "^sha256:[0-9a-f]{64}$" (default "" .image.digest)) }}{{ fail (printf "the image of the code server %s is not named by its digest" .name) }}{{ end }}{{ end }}
{{- end -}}
{{- end -}}

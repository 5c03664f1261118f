{{- define "telltale.selector" -}}
app.kubernetes.io/name: telltale
app.kubernetes.io/component: agent
{{- end }}

{{- define "telltale.metadata" -}}
name: telltale
namespace: {{ .Release.Namespace }}
labels:
  {{- include "telltale.selector" . | nindent 2 }}
{{- end }}

{{- define "telltale.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}

{{- /* Capabilities by the values that grant them. */ -}}
{{- define "telltale.capabilities" -}}
{{- $granted := list -}}
{{- range $value, $name := dict "bpf" "BPF" "perfmon" "PERFMON" "sysPtrace" "SYS_PTRACE" "dacReadSearch" "DAC_READ_SEARCH" "sysAdmin" "SYS_ADMIN" -}}
{{- if index $.Values.capabilities $value -}}{{- $granted = append $granted $name -}}{{- end -}}
{{- end -}}
{{- toJson (sortAlpha $granted) -}}
{{- end }}

{{- /* A definition of policies, unless the cluster has it from somebody else. */ -}}
{{- define "telltale.crd" -}}
{{- $crd := .root.Files.Get (printf "files/crds/%s" .file) | fromYaml -}}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" $crd.metadata.name -}}
{{- $annotations := dict -}}
{{- if $there -}}{{- $annotations = $there.metadata.annotations | default dict -}}{{- end -}}
{{- $owner := printf "%s/%s" (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") -}}
{{- if or (not $there) (eq $owner (printf "%s/%s" .root.Release.Namespace .root.Release.Name)) -}}
{{- if eq (toString .mode) "keep" -}}
{{- $_ := set $crd.metadata "annotations" (merge (dict "helm.sh/resource-policy" "keep") ($crd.metadata.annotations | default dict)) -}}
{{- end -}}
{{- toYaml $crd -}}
{{- end -}}
{{- end }}

{{- define "telltale.selector" -}}
app.kubernetes.io/name: telltale
app.kubernetes.io/component: agent
{{- end }}

{{- define "telltale.labels" -}}
{{ include "telltale.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "telltale.metadata" -}}
name: telltale
namespace: {{ .Release.Namespace }}
labels:
  {{- include "telltale.labels" . | nindent 2 }}
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

{{- /* Whether the cluster has the definition of that name from somebody else; empty where no cluster can be asked. */ -}}
{{- define "telltale.crd.foreign" -}}
{{- $there := lookup "apiextensions.k8s.io/v1" "CustomResourceDefinition" "" .name -}}
{{- if $there -}}
{{- $annotations := $there.metadata.annotations | default dict -}}
{{- $owner := printf "%s/%s" (get $annotations "meta.helm.sh/release-namespace") (get $annotations "meta.helm.sh/release-name") -}}
{{- if ne $owner (printf "%s/%s" .root.Release.Namespace .root.Release.Name) -}}true{{- end -}}
{{- end -}}
{{- end }}

{{- /* A definition of policies, unless the cluster has it from somebody else. */ -}}
{{- define "telltale.crd" -}}
{{- $crd := .root.Files.Get (printf "files/crds/%s" .file) | fromYaml -}}
{{- if not (include "telltale.crd.foreign" (dict "root" .root "name" $crd.metadata.name)) -}}
{{- if eq (toString .mode) "keep" -}}
{{- $keep := dict "helm.sh/resource-policy" "keep" "argocd.argoproj.io/sync-options" "Prune=false" -}}
{{- $_ := set $crd.metadata "annotations" (merge $keep ($crd.metadata.annotations | default dict)) -}}
{{- end -}}
{{- toYaml $crd -}}
{{- end -}}
{{- end }}

{{- /* What the schema cannot say of values that do not go together. */ -}}
{{- define "telltale.check" -}}
{{- if hasKey .Values.config "prometheus" -}}
{{- fail "values: config.prometheus has no effect in the chart, whose probes and Service must know the port: set metrics.address and metrics.port" -}}
{{- end -}}
{{- $directory := dig "accessLogs" "directory" "" .Values.config -}}
{{- if and $directory (not .Values.logDirectory) -}}
{{- $mounted := false -}}
{{- range .Values.volumeMounts -}}
{{- if hasPrefix (printf "%s/" (trimSuffix "/" .mountPath)) (printf "%s/" (trimSuffix "/" $directory)) -}}{{- $mounted = true -}}{{- end -}}
{{- end -}}
{{- if not $mounted -}}
{{- fail (printf "values: config.accessLogs.directory is %s, where nothing is mounted: set logDirectory to a folder of the nodes instead, or mount a volume there with volumes and volumeMounts" $directory) -}}
{{- end -}}
{{- end -}}
{{- range .Values.args -}}
{{- if and $.Values.logDirectory (regexMatch "^--log-dir(=|$)" .) -}}
{{- fail "values: args has --log-dir, which logDirectory sets already" -}}
{{- end -}}
{{- end -}}
{{- end }}

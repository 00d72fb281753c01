{{- define "kvroute.name" -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}

{{- define "kvroute.labels" -}}
app.kubernetes.io/name: kvroute
app.kubernetes.io/instance: {{ .Release.Name | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
{{- end -}}

{{- define "kvroute.selector" -}}
app.kubernetes.io/name: kvroute
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{- /* The pool that is watched: one that exists, or the one made here. */ -}}
{{- define "kvroute.pool" -}}
{{- if .Values.createPool }}{{ include "kvroute.name" . }}{{ else }}{{ .Values.pool }}{{ end -}}
{{- end -}}

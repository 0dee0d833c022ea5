{{/* The name of the release's objects. */}}
{{- define "crewcall.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "crewcall.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "crewcall.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false: the name of an existing ServiceAccount" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "crewcall.image" -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* What never changes in a release's life: a Deployment's selector is immutable. */}}
{{- define "crewcall.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "crewcall.labels" -}}
{{ include "crewcall.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The name of the board's objects. */}}
{{- define "crewcall.boardName" -}}
{{- printf "%s-board" (include "crewcall.fullname" . | trunc 57 | trimSuffix "-") -}}
{{- end -}}

{{/* What the board's pods are found by. */}}
{{- define "crewcall.boardSelector" -}}
{{- set (include "crewcall.selector" . | fromYaml) "app.kubernetes.io/component" "board" | toYaml -}}
{{- end -}}

{{/*
Labels and annotations of an object of the release, under `metadata`: (list $ labels annotations), the two being the
object's own; of the board's with "board" behind them. What the user adds cannot take the place of the labels that
selectors go by.
*/}}
{{- define "crewcall.metadata" -}}
{{- $root := index . 0 -}}
{{- $own := include "crewcall.labels" $root | fromYaml -}}
{{- if gt (len .) 3 -}}{{- $_ := set $own "app.kubernetes.io/component" (index . 3) -}}{{- end -}}
labels: {{- mergeOverwrite (dict) (default dict $root.Values.commonLabels) (index . 1) $own | toYaml | nindent 2 }}
{{- with mergeOverwrite (dict) (default dict $root.Values.commonAnnotations) (index . 2) }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* "true" where several operators run, of which one leads. */}}
{{- define "crewcall.isReplicated" -}}
{{- if and .Values.operator.leaderElection (gt (int .Values.replicas) 1) -}}true{{- end -}}
{{- end -}}

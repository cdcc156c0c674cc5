{{/* The image of a run: from `images`, which is PREFIX[:TAG] or NAME=IMAGE,…, or from `image`. */}}
{{- define "compaware.image" -}}
{{- $images := .Values.images -}}
{{- if contains "=" $images -}}
  {{- $entry := regexFind "(^|,)benchmark=[^,]+" $images -}}
  {{- regexReplaceAll "^,?benchmark=" (required "images names no benchmark=IMAGE" $entry) "" -}}
{{- else if regexMatch ":[^/]+$" $images -}}
  {{- regexReplaceAll "(:[^/]+)$" $images "/benchmark${1}" -}}
{{- else if $images -}}
  {{- printf "%s/benchmark:%s" $images .Chart.AppVersion -}}
{{- else if .Values.image.digest -}}
  {{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
  {{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end -}}

{{/* The secret with the token of the hub. */}}
{{- define "compaware.hubSecret" -}}
{{- if .Values.hub.token -}}
  {{- printf "%s-hub" .Release.Name -}}
{{- else -}}
  {{- .Values.hub.secret -}}
{{- end -}}
{{- end -}}

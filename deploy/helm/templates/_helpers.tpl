{{/* A file that kustomize uses too, for the namespace of this release: what a right is, is
     written in one place. */}}
{{- define "zonespread.file" -}}
{{- $text := .root.Files.Get (printf "files/%s" .path) -}}
{{- if not $text -}}
{{- fail (printf "the chart lacks files/%s. It is a symbolic link into the repository: package the chart from a checkout that keeps symbolic links (on Windows: git config core.symlinks true)" .path) -}}
{{- end -}}
{{- $text | replace "zonespread-system" .root.Release.Namespace -}}
{{- end -}}

{{- define "zonespread.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{/* What the schema cannot say: settings that do not go together. */}}
{{- define "zonespread.check" -}}
{{- $layers := .Values.layers -}}
{{- range $layer := list "surge" "opening" "drill" -}}
{{- if and $layers.observe (get $layers $layer) -}}
{{- fail (printf "layers.observe and layers.%s are both true: observe takes the right to evict away, and without it nothing is moved. Set layers.observe or layers.%s to false" $layer $layer) -}}
{{- end -}}
{{- end -}}
{{- range $layer := list "steering" "drill" -}}
{{- if and (get $layers $layer) (semverCompare "<1.36-0" $.Capabilities.KubeVersion.Version) -}}
{{- fail (printf "layers.%s is true: its MutatingAdmissionPolicy takes Kubernetes 1.36, and this is %s. Set layers.%s to false" $layer $.Capabilities.KubeVersion.Version $layer) -}}
{{- end -}}
{{- end -}}
{{- end -}}

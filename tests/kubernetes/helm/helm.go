//go:build tools

// SPDX-License-Identifier: GPL-3.0-or-later

// Package helm is here for go.mod: that it needs Helm, which tests/kubernetes/test-manifests.sh builds.
package helm

import _ "helm.sh/helm/v3/cmd/helm"

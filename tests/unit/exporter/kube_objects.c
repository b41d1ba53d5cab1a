/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects as a kube-apiserver returns them, and as none does.
 */
#include "exporter/kube_objects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "tests/test.h"

static const char service[] =
	"{\"kind\":\"Service\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"web\","
	"\"namespace\":\"shop\",\"uid\":\"0e9a2c43-6c0e-4d0c-8f7c-1df2f2b7f0aa\","
	"\"resourceVersion\":\"712\",\"creationTimestamp\":\"2026-11-25T01:02:03Z\","
	"\"labels\":{\"app\":\"web\"},\"annotations\":{\"kubectl.kubernetes.io/last-applied-"
	"configuration\":\"{\\\"spec\\\":{}}\\n\",\"warren/export\":\"true\"},"
	"\"managedFields\":[{\"manager\":\"kubectl-client-side-apply\",\"operation\":\"Update\","
	"\"apiVersion\":\"v1\",\"time\":\"2026-11-25T01:02:03Z\",\"fieldsType\":\"FieldsV1\","
	"\"fieldsV1\":{\"f:metadata\":{\"f:annotations\":{\".\":{},\"f:warren/export\":{}}},"
	"\"f:spec\":{\"f:ports\":{\".\":{},\"k:{\\\"port\\\":80,\\\"protocol\\\":\\\"TCP\\\"}\":"
	"{\".\":{},\"f:name\":{},\"f:port\":{}}},\"f:selector\":{}}}}]},"
	"\"spec\":{\"ports\":[{\"name\":\"http\",\"protocol\":\"TCP\",\"appProtocol\":\"http\","
	"\"port\":80,\"targetPort\":\"web\"},{\"name\":\"dns\",\"protocol\":\"UDP\",\"port\":53,"
	"\"targetPort\":53}],\"selector\":{\"app\":\"web\"},\"clusterIP\":\"10.96.14.2\","
	"\"clusterIPs\":[\"10.96.14.2\",\"fd00:96::8a1\"],\"type\":\"ClusterIP\","
	"\"sessionAffinity\":\"None\",\"ipFamilies\":[\"IPv4\",\"IPv6\"],"
	"\"ipFamilyPolicy\":\"PreferDualStack\",\"internalTrafficPolicy\":\"Cluster\"},"
	"\"status\":{\"loadBalancer\":{}}}";

static const char slice[] =
	"{\"kind\":\"EndpointSlice\",\"apiVersion\":\"discovery.k8s.io/v1\",\"metadata\":{\"name\":"
	"\"db-x7k2p\",\"generateName\":\"db-\",\"namespace\":\"shop\",\"generation\":3,\"labels\":{"
	"\"endpointslice.kubernetes.io/managed-by\":\"endpointslice-controller.k8s.io\","
	"\"kubernetes.io/service-name\":\"db\",\"service.kubernetes.io/headless\":\"\"},"
	"\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"name\":\"db\","
	"\"uid\":\"c1\",\"controller\":true,\"blockOwnerDeletion\":true}],"
	"\"managedFields\":[{\"manager\":\"kube-controller-manager\",\"fieldsV1\":{\"f:ports\":{}}}]},"
	"\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.244.1.7\"],\"conditions\":{"
	"\"ready\":true,\"serving\":true,\"terminating\":false},\"hostname\":\"db-0\",\"targetRef\":{"
	"\"kind\":\"Pod\",\"namespace\":\"shop\",\"name\":\"db-0\",\"uid\":\"u-0\"},"
	"\"nodeName\":\"n1\",\"zone\":\"a\"},{\"addresses\":[\"10.244.2.9\"],\"conditions\":{"
	"\"ready\":false,\"serving\":true,\"terminating\":true},\"hostname\":\"db-1\"},"
	"{\"addresses\":[\"10.244.2.10\",\"10.244.2.11\"]},{\"addresses\":[\"10.244.3.1\"],"
	"\"conditions\":{\"ready\":null},\"targetRef\":null}],\"ports\":[{\"name\":\"pg\",\"protocol\":"
	"\"TCP\",\"port\":5432},{\"name\":\"\",\"protocol\":\"TCP\",\"port\":9},"
	"{\"name\":\"all\",\"protocol\":\"TCP\",\"port\":null}]}";

/* A sentence on what was read, one word each. */
static const char *read_as(const char *kind, const char *text, char ret[static 1024])
{
	struct buf b = { .max = 1000 };
	struct arena a = { 0 };
	struct json_error err;
	char t[PREFIX_SIZE];
	struct kube_service s;
	struct kube_slice sl;
	struct kube_ranges r;

	if (strcmp(kind, "service") == 0) {
		CHECK_INT(kube_service_decode(&a, text, strlen(text), &s, &err), 0);
		buf_printf(&b, "%s/%s wish=%d%s%s%s", s.meta.space, s.meta.name,
			   (int)s.meta.export_wish, s.is_external ? " external" : "",
			   s.is_headless ? " headless" : "", s.publish_not_ready ? " all" : "");
		for (size_t i = 0; i < s.address_count; i++)
			buf_printf(&b, " %s", addr_format(&s.addresses[i], t));
		for (size_t i = 0; i < s.port_count; i++)
			buf_printf(&b, " %s:%s:%d", s.ports[i].name,
				   port_protocol_names[s.ports[i].protocol], s.ports[i].port);
	} else if (strcmp(kind, "slice") == 0) {
		CHECK_INT(kube_slice_decode(&a, text, strlen(text), &sl, &err), 0);
		buf_printf(&b, "%s/%s of %s", sl.meta.space, sl.meta.name,
			   sl.service ? sl.service : "none");
		for (size_t i = 0; i < sl.endpoint_count; i++)
			buf_printf(&b, " %s%s,%s,%s", sl.endpoints[i].is_ready ? "+" : "-",
				   addr_format(&sl.endpoints[i].addr, t),
				   sl.endpoints[i].hostname ? sl.endpoints[i].hostname : "",
				   sl.endpoints[i].pod ? sl.endpoints[i].pod : "");
		for (size_t i = 0; i < sl.port_count; i++)
			buf_printf(&b, " %s:%d", sl.ports[i].name, sl.ports[i].port);
	} else {
		CHECK_INT(kube_ranges_decode(&a, text, strlen(text), &r, &err), 0);
		buf_printf(&b, "%s", r.meta.name);
		for (size_t i = 0; i < r.range_count; i++)
			buf_printf(&b, " %s", prefix_format(&r.ranges[i], t));
	}
	snprintf(ret, 1024, "%s", buf_cstr(&b));
	buf_done(&b);
	arena_done(&a);
	return ret;
}

TEST(objects)
{
#define META "\"metadata\":{\"name\":\"a\",\"namespace\":\"b\"}"
#define OF(more) "\"metadata\":{\"name\":\"a\",\"namespace\":\"b\",\"labels\":{" more "}}"
#define NAME "\"kubernetes.io/service-name\":\"s\""
	static const struct {
		const char *kind, *text, *want;
	} rows[] = {
		{ "service", service,
		  "shop/web wish=1 10.96.14.2 fd00:96::8a1 http:TCP:80 dns:UDP:53" },
		{ "service", "{" META "}", "b/a wish=0" },
		{ "service", "{" META ",\"spec\":{\"clusterIP\":\"10.0.0.1\",\"ports\":null}}",
		  "b/a wish=0 10.0.0.1" },
		{ "service",
		  "{" META ",\"spec\":{\"clusterIP\":\"None\",\"clusterIPs\":[\"None\"],"
		  "\"publishNotReadyAddresses\":true}}",
		  "b/a wish=0 headless all" },
		{ "service",
		  "{" META ",\"spec\":{\"type\":\"ExternalName\",\"externalName\":\"x.y\"}}",
		  "b/a wish=0 external" },
		/* What makes no sense is left out. */
		{ "service",
		  "{" META ",\"spec\":{\"clusterIPs\":[\"\",\"x\",\"0.0.0.0\",\"127.0.0.1\","
		  "\"10.0.0.2\"],\"ports\":[{\"port\":1},{\"name\":\"a\",\"port\":0},"
		  "{\"name\":\"b\",\"port\":70000},{\"name\":\"c\",\"port\":5,"
		  "\"protocol\":\"QUIC\"},{\"name\":\"d\",\"port\":6}]}}",
		  "b/a wish=0 10.0.0.2 d:TCP:6" },
		{ "service",
		  "{\"metadata\":{\"name\":\"a\",\"annotations\":{\"warren/export\":\"yes\"}}}",
		  "/a wish=3" },
		{ "slice", slice,
		  "shop/db-x7k2p of db +10.244.1.7,db-0,u-0 -10.244.2.9,db-1, +10.244.2.10,, "
		  "+10.244.2.11,, +10.244.3.1,, pg:5432" },
		/* discovery.k8s.io/v1beta1: topology, no zone. */
		{ "slice",
		  "{\"apiVersion\":\"discovery.k8s.io/v1beta1\"," OF(
			  NAME) ",\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":[\"10.0.0.4\"],"
				"\"conditions\":{\"ready\":true},\"hostname\":\"h\",\"topology\":{"
				"\"kubernetes.io/hostname\":\"n\"}}],\"ports\":[{\"name\":\"p\",\"port\":1}]}",
		  "b/a of s +10.0.0.4,h, p:1" },
		{ "slice",
		  "{" OF(NAME) ",\"addressType\":\"IPv6\",\"endpoints\":null,\"ports\":null}",
		  "b/a of s" },
		{ "slice",
		  "{" OF(NAME) ",\"addressType\":\"IPv6\",\"endpoints\":[{\"addresses\":["
			       "\"10.0.0.1\",\"fd00::1\"]}]}",
		  "b/a of s +fd00::1,," },
		{ "slice",
		  "{" OF(NAME) ",\"addressType\":\"FQDN\",\"endpoints\":[{\"addresses\":["
			       "\"10.0.0.1\"]}]}",
		  "b/a of none" },
		{ "slice",
		  "{" OF(NAME) ",\"addressType\":\"IPv6\",\"endpoints\":[{\"addresses\":["
			       "\"::ffff:127.0.0.1\",\"::ffff:10.0.0.1\",\"::7f00:1\","
			       "\"fe80::1\",\"fd00::1\"]}]}",
		  "b/a of s +fd00::1,," },
		{ "slice",
		  "{" OF(NAME) ",\"addressType\":\"IPv4\",\"endpoints\":[{\"addresses\":["
			       "\"0.1.2.3\",\"224.0.0.1\",\"169.254.169.254\","
			       "\"255.255.255.255\",\"10.0.0.1\"]}]}",
		  "b/a of s +10.0.0.1,," },
		{ "slice", "{" META ",\"addressType\":\"IPv4\"}", "b/a of none" },
		{ "slice",
		  "{" OF(NAME
			 ",\"multicluster.kubernetes.io/service-name\":\"s\","
			 "\"endpointslice.kubernetes.io/managed-by\":\"mesh\"") ",\"addressType\":\"IPv4\"}",
		  "b/a of none" },
		{ "slice",
		  "{" OF(NAME ",\"multicluster.kubernetes.io/service-name\":\"s\","
			      "\"endpointslice.kubernetes.io/managed-by\":"
			      "\"endpointslice-controller.k8s.io\"") ",\"addressType\":\"IPv4\"}",
		  "b/a of s" },
		{ "slice",
		  "{" OF(NAME
			 ",\"endpointslice.kubernetes.io/managed-by\":\"me\"") ",\"addressType\":\"IPv4\"}",
		  "b/a of s" },
		{ "ranges",
		  "{\"metadata\":{\"name\":\"n1\"},\"spec\":{\"podCIDR\":\"10.244.0.0/24\","
		  "\"podCIDRs\":[\"10.244.0.0/24\",\"fd00:244::/64\"],\"providerID\":\"x\"}}",
		  "n1 10.244.0.0/24 fd00:244::/64" },
		{ "ranges",
		  "{\"metadata\":{\"name\":\"n2\"},\"spec\":{\"podCIDR\":\"10.244.1.5/24\"}}",
		  "n2 10.244.1.0/24" },
		{ "ranges", "{\"metadata\":{\"name\":\"n3\"},\"spec\":{}}", "n3" },
		/* What no network routes, or everything, is not a cluster's. */
		{ "ranges",
		  "{\"metadata\":{\"name\":\"n4\"},\"spec\":{\"podCIDRs\":[\"0.0.0.0/0\","
		  "\"0.0.0.0/1\",\"127.0.0.0/8\",\"127.1.2.0/24\",\"169.254.1.0/24\","
		  "\"224.0.0.0/4\",\"255.255.255.255/32\",\"::/0\",\"::1/128\",\"fe80::/64\","
		  "\"ff00::/8\",\"::ffff:10.0.0.0/104\",\"10.1.0.0/16\",\"fd00::/64\"]}}",
		  "n4 10.1.0.0/16 fd00::/64" },
		{ "ranges",
		  "{\"metadata\":{\"name\":\"kubernetes\"},\"spec\":{\"cidrs\":["
		  "\"10.96.0.0/16\",\"nonsense\"]},\"status\":{}}",
		  "kubernetes 10.96.0.0/16" },
	};
	char got[1024];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		CHECK_STR(read_as(rows[i].kind, rows[i].text, got), rows[i].want);
}

TEST(what_is_refused)
{
	static const char *const bad[] = {
		"",
		"[]",
		"{}",
		"{\"metadata\":null}",
		"{\"metadata\":{\"name\":\"\"}}",
		"{\"metadata\":{\"name\":7}}",
		"{\"metadata\":{\"name\":\"a\",\"annotations\":[]}}",
		"{\"metadata\":{\"name\":\"a\",\"annotations\":{\"warren/export\":true}}}",
		"{\"metadata\":{\"name\":\"a\"},\"spec\":[]}",
		"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"clusterIPs\":[null]}}",
		"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"ports\":[{\"port\":\"80\"}]}}",
		"{\"metadata\":{\"name\":\"a\"},\"spec\":{\"x\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}}",
	};
	struct kube_service s;
	struct json_error err;
	struct arena a = { 0 };
	char *big;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK_INT(kube_service_decode(&a, bad[i], strlen(bad[i]), &s, &err), -EBADMSG);
	for (size_t i = 1; i < sizeof(service) - 1; i++)
		CHECK_INT(kube_service_decode(&a, service, i, &s, &err), -EBADMSG);
	big = xcalloc(1, KUBE_DECODE_MAX + 1);
	memset(big, ' ', KUBE_DECODE_MAX + 1);
	memcpy(big, service, sizeof(service) - 1);
	CHECK_INT(kube_service_decode(&a, big, KUBE_DECODE_MAX, &s, &err), 0);
	CHECK_INT(kube_service_decode(&a, big, KUBE_DECODE_MAX + 1, &s, &err), -EBADMSG);
	CHECK_STR(err.reason, "is longer than 2097152 bytes");
	free(big);
	arena_done(&a);
}

TEST_MAIN("kube-objects")

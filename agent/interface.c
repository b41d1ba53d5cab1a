/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names and kinds of interfaces. Pure; any thread.
 */
#include "agent/interface.h"

#include <string.h>

#include "agent/desired.h"
#include "lib/text.h"

static const char *const tunnel_kinds[] = {
	"amt",	   "bareudp",	"dummy",     "erspan",	  "fou",       "geneve", "gre",	 "gretap",
	"gtp",	   "ifb",	"ip6erspan", "ip6gre",	  "ip6gretap", "ip6tnl", "ipip", "ipvtap",
	"macvtap", "netdevsim", "nlmon",     "ovpn",	  "sit",       "tun",	 "vcan", "vrf",
	"vti",	   "vti6",	"vxlan",     "wireguard", "xfrm",
};

/* What pods, containers and virtual machines hang on, by the names their programs give. */
static const char *const container_names[] = {
	"veth",		"cali",	   "cilium",  "lxc",	   "lxd",  "docker", "br-",
	"cni",		"flannel", "kube-",   "virbr",	   "vnet", "podman", "weave",
	"nodelocaldns", "antrea",  "ovn-k8s", "tailscale", "zt",   "tap",
};

static bool contains(const char *const *list, size_t count, const char *s, bool as_prefix)
{
	for (size_t i = 0; i < count; i++)
		if (as_prefix ? strncmp(s, list[i], strlen(list[i])) == 0 : strcmp(s, list[i]) == 0)
			return true;
	return false;
}

bool interface_candidate(const char *name, const char *kind, bool has_default_route)
{
	if (strncmp(name, INTERFACE_PREFIX, strlen(INTERFACE_PREFIX)) == 0 ||
	    contains(tunnel_kinds, ARRAY_SIZE(tunnel_kinds), kind, false))
		return false;
	if (has_default_route)
		return true;
	return strcmp(kind, "bridge") != 0 && strcmp(kind, "openvswitch") != 0 &&
	       !contains(container_names, ARRAY_SIZE(container_names), name, true);
}

void interface_name(const char *network, char ret[static INTERFACE_SIZE])
{
	const size_t at = strlen(INTERFACE_PREFIX), room = INTERFACE_SIZE - 1 - at;
	uint8_t hash[HASH_LEN];

	memcpy(ret, INTERFACE_PREFIX, at);
	if (strlen(network) <= room) {
		memcpy(ret + at, network, strlen(network) + 1);
		return;
	}
	sha256(network, strlen(network), hash);
	base32_prefix(hash, sizeof(hash), ret + at, room);
}

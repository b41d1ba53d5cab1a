/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Configuration of other DNS servers. Owns nothing.
 */
#include "cli/dns_stanza.h"

#include <string.h>
#include <sys/socket.h>

#define DNS_PORT 53

const char *const stanza_form_names[] = { "coredns", "coredns-custom", "nodelocaldns",
					  "dnsmasq", "unbound",	       "kube-dns",
					  NULL };

/* ADDRESS, or ADDRESS and port with `mark` between them; an IPv6 one in brackets when `mark` is ':'. */
static void write_forward(struct buf *out, const struct endpoint *e, char mark)
{
	char text[ENDPOINT_SIZE];

	if (e->port == DNS_PORT)
		buf_str(out, addr_format(&e->addr, text));
	else if (mark == ':')
		buf_str(out, endpoint_format(e, text));
	else
		buf_printf(out, "%s%c%u", addr_format(&e->addr, text), mark, e->port);
}

static void write_block(const struct stanza *s, const char *indent, bool bind, struct buf *out)
{
	buf_str(out, indent);
	for (size_t i = 0; s->zones[i]; i++)
		buf_printf(out, "%s:53 ", s->zones[i]);
	buf_printf(out, "{\n%s    errors\n%s    cache 30\n", indent, indent);
	if (bind) {
		buf_printf(out, "%s    bind", indent);
		for (size_t i = 0; s->binds[i]; i++)
			buf_printf(out, " %s", s->binds[i]);
		buf_char(out, '\n');
	}
	buf_printf(out, "%s    forward .", indent);
	for (size_t i = 0; i < s->forward_count; i++) {
		buf_char(out, ' ');
		write_forward(out, &s->forwards[i], ':');
	}
	buf_printf(out, "\n%s}\n", indent);
}

static void write_config_map(const char *name, struct buf *out)
{
	buf_printf(out,
		   "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n  namespace: "
		   "kube-system\ndata:\n",
		   name);
}

static void write_dnsmasq(const struct stanza *s, struct buf *out)
{
	for (size_t i = 0; s->zones[i]; i++)
		for (size_t k = 0; k < s->forward_count; k++) {
			buf_printf(out, "server=/%s/", s->zones[i]);
			write_forward(out, &s->forwards[k], '#');
			buf_char(out, '\n');
		}
}

/* It knows private reverse zones to be empty unless it is told. */
static void write_unbound(const struct stanza *s, struct buf *out)
{
	buf_str(out, "server:\n");
	for (size_t i = 0; s->zones[i]; i++) {
		size_t len = strlen(s->zones[i]);

		if (len > 5 && strcmp(s->zones[i] + len - 5, ".arpa") == 0)
			buf_printf(out, "    local-zone: \"%s.\" nodefault\n", s->zones[i]);
		else
			buf_printf(out, "    private-domain: \"%s.\"\n", s->zones[i]);
		buf_printf(out, "    domain-insecure: \"%s.\"\n", s->zones[i]);
	}
	for (size_t i = 0; s->zones[i]; i++) {
		buf_printf(out, "forward-zone:\n    name: \"%s.\"\n", s->zones[i]);
		for (size_t k = 0; k < s->forward_count; k++) {
			buf_str(out, "    forward-addr: ");
			write_forward(out, &s->forwards[k], '@');
			buf_char(out, '\n');
		}
	}
}

static void write_kube_dns(const struct stanza *s, struct buf *out)
{
	write_config_map("kube-dns", out);
	buf_str(out, "  stubDomains: |\n    {");
	for (size_t i = 0; s->zones[i]; i++) {
		buf_printf(out, "%s\"%s\": [", i ? ",\n     " : "", s->zones[i]);
		for (size_t k = 0; k < s->forward_count; k++) {
			buf_str(out, k ? ", \"" : "\"");
			write_forward(out, &s->forwards[k], ':');
			buf_char(out, '"');
		}
		buf_char(out, ']');
	}
	buf_str(out, "}\n");
}

void stanza_write(enum stanza_form form, const struct stanza *s, struct buf *out)
{
	switch (form) {
	case STANZA_COREDNS:
		write_block(s, "", false, out);
		break;
	case STANZA_COREDNS_CUSTOM:
		write_config_map("coredns-custom", out);
		buf_printf(out, "  %s.server: |\n", s->network);
		write_block(s, "    ", false, out);
		break;
	case STANZA_NODELOCALDNS:
		write_block(s, "", true, out);
		break;
	case STANZA_DNSMASQ:
		write_dnsmasq(s, out);
		break;
	case STANZA_UNBOUND:
		write_unbound(s, out);
		break;
	case STANZA_KUBE_DNS:
		write_kube_dns(s, out);
		break;
	}
}

/* The parts of the address that are in a zone's name, the last one first. */
static void write_zone(const struct addr *a, unsigned parts, struct buf *out)
{
	bool six = a->family == AF_INET6;

	for (unsigned i = parts; i-- > 0;)
		if (six)
			buf_printf(out, "%x.", a->bytes[i / 2] >> (i % 2 ? 0 : 4) & 15);
		else
			buf_printf(out, "%u.", a->bytes[i]);
	buf_str(out, six ? "ip6.arpa" : "in-addr.arpa");
}

void stanza_reverse(const struct prefix *range, void (*each)(void *owner, const char *zone),
		    void *owner)
{
	unsigned six = range->addr.family == AF_INET6, step = six ? 4 : 8;
	unsigned parts = MIN((range->len + step - 1U) / step, six ? 31U : 3U);
	unsigned more = range->len < parts * step ? 1U << (parts * step - range->len) : 1;

	for (unsigned i = 0; i < more; i++) {
		struct addr a = range->addr;
		struct buf zone = { 0 };

		if (parts)
			a.bytes[(parts * step - 1) / 8] |= (uint8_t)(six && parts % 2 ? i << 4 : i);
		write_zone(&a, parts, &zone);
		each(owner, buf_cstr(&zone));
		buf_done(&zone);
	}
}

/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Options of TCP connections that a library made and does not show.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Lets every TCP connection of this process to that remote port send small segments at once
 * (TCP_NODELAY): with Nagle's algorithm a small message waits for the ACK of the one before it, which
 * the other side delays by 40 ms. Returns how many there are; 0 too when /proc does not tell. Any
 * thread. */
size_t tcp_send_at_once(uint16_t port);

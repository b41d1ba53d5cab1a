# SPDX-License-Identifier: GPL-3.0-or-later
#
# ratio.awk - of paired ratios, one a line and sorted (sort -g): "MEDIAN LOW HIGH", the last two their 90 % interval
# (order statistics, at least 90 % by the binomial distribution).
{ r[NR] = $1 }
END {
	n = NR; p = 0.5 ^ n; sum = 0
	for (k = 0; k < n && sum + p <= 0.05; k++) { sum += p; p = p * (n - k) / (k + 1) }
	k = k < 1 ? 1 : k
	median = n % 2 ? r[(n + 1) / 2] : (r[n / 2] + r[n / 2 + 1]) / 2
	printf "%.3f %.3f %.3f\n", median, r[k], r[n + 1 - k]
}

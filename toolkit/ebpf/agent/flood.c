/* A load generator: the kernel runs this program over and over (BPF_PROG_TEST_RUN with live frames), and
 * it says of every turn whether a packet is due.  What is due goes out of the interface; the rest is
 * thrown away before anything saw it.  So the load is open: it does not wait for answers. */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/ip.h>

struct plan {
	u64 gap_ns;    /* mean time between two packets; 0: as fast as can be */
	u64 poisson;   /* 1: gaps are exponential, 0: all the same */
	u64 start_ns, end_ns;
	u64 count;     /* stop after so many */
	u64 sources;   /* how many source addresses, from the packet's own on */
};

struct progress {
	u64 sent;
	u64 due_ns;
};

BPF_ARRAY(plan, struct plan, 1);
BPF_ARRAY(progress, struct progress, 1);
BPF_ARRAY(exponential, u32, 4096); /* quantiles of the exponential law with mean 1024 */

static __always_inline u64 gap(struct plan *p)
{
	u32 draw, *quantile;

	if (!p->poisson)
		return p->gap_ns;
	draw = bpf_get_prandom_u32() & 4095;
	quantile = exponential.lookup(&draw);
	return quantile ? (p->gap_ns * *quantile) >> 10 : p->gap_ns;
}

/* Write the k-th source into the packet.  The header's sum changes by as much (RFC 1624), and is worked
 * out anew from the first, since a frame comes round again as it was left. */
static __always_inline int stamp(struct xdp_md *ctx, struct plan *p)
{
	struct iphdr *ip = (void *)(long)ctx->data + sizeof(struct ethhdr);
	u32 sum = 0, first = 0xc6120001; /* 198.18.0.1, of the range kept for benchmarks */

	if ((void *)(ip + 1) > (void *)(long)ctx->data_end)
		return 0;
	ip->saddr = htonl(first + bpf_get_prandom_u32() % (u32)p->sources);
	ip->check = 0;
	for (int i = 0; i < 10; i++)
		sum += ((u16 *)ip)[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check = ~sum;
	return 1;
}

int flood_xdp(struct xdp_md *ctx)
{
	u32 zero = 0;
	struct plan *p = plan.lookup(&zero);
	struct progress *so_far = progress.lookup(&zero);
	u64 now;

	if (!p || !so_far || so_far->sent >= p->count)
		return XDP_DROP;
	if (p->gap_ns || p->end_ns) {
		now = bpf_ktime_get_ns();
		if (now < p->start_ns || now >= p->end_ns || now < so_far->due_ns)
			return XDP_DROP;
		so_far->due_ns = (so_far->due_ns ? so_far->due_ns : p->start_ns) + gap(p);
	}
	if (p->sources > 1 && !stamp(ctx, p))
		return XDP_DROP;
	so_far->sent++;
	return XDP_TX;
}

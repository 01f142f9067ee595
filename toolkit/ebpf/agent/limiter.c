/* A token bucket for every source, in the kernel: one number a source, and no lock.
 *
 * The number is the time at which the next token would be due if the bucket had no depth (the generic
 * cell rate algorithm, ITU-T I.371 annex A), in nanoseconds.  A packet passes when that time is no
 * further ahead than the burst allows, and moves it one interval on.  It is the arithmetic of
 * RunningBucket in toolkit/design/limits.py, so that the two can be compared packet by packet.
 *
 * One source for XDP and for tc.  Beside the limiter stand two others, to be compared with it:
 *   racy     read, think, write: two CPUs can spend one token (shown on purpose)
 *   locked   the same under one of 64 spin locks: exact, and dearer
 * and one that reads the time not from a clock but from the first 8 bytes of the payload (judge).
 */
#include <uapi/linux/bpf.h>
#include <uapi/linux/if_ether.h>
#include <uapi/linux/ip.h>
#include <uapi/linux/ipv6.h>

/* Of uapi/linux/in.h, pkt_cls.h and udp.h: in a micro-VM without KVM each header takes part of a second
 * to compile, and the first of these more than all of this file. */
enum { ICMP = 1, ICMPV6 = 58, TC_PASS = 0, TC_DROP = 2, UDP_HEADER = 8 };

#define TRIES 16 /* after so many lost races a packet is dropped: too few pass, never too many */

struct address {
	u32 word[4]; /* IPv6, or IPv4 as ::ffff:a.b.c.d; in network order */
};

struct prefix { /* u32 only: a wider field would put a hole in the key */
	u32 length;
	u32 word[4];
};

struct limits {
	u64 interval_ns;           /* the time of one token */
	u64 tolerance_ns;          /* the time of burst - 1 tokens */
	u64 newcomer_interval_ns;  /* the same for all sources not yet known together; 0: no such limit */
	u64 newcomer_tolerance_ns;
	u64 event_gap_ns;          /* a drop is reported no more often than this on a CPU; 0: never */
	u64 some_always_in;        /* 0: nobody is on that list, and it need not be searched */
};

struct counts {
	u64 passed, dropped;
	u64 allowed;    /* passed unasked: on the list of those always let in */
	u64 exempt;     /* passed unasked: not IP, or ICMP, without which a network cannot work */
	u64 newcomers;  /* of the dropped: new sources when too many came */
	u64 raced;      /* another CPU was quicker, and the decision was made again */
	u64 first_ns, last_ns;  /* the times of the first and the last decision */
};

struct drop {
	struct address source;
	u64 at_ns;
};

BPF_ARRAY(current_limits, u32, 1);    /* which of the two below holds: a change is one write */
BPF_ARRAY(limits, struct limits, 2);
BPF_TABLE("lru_hash", struct address, u64, due_ns, 4096);
BPF_ARRAY(newcomers_due_ns, u64, 1);
BPF_LPM_TRIE(always_in, struct prefix, u64, 256);
BPF_PERCPU_ARRAY(counts, struct counts, 1);
BPF_PERCPU_ARRAY(reported_ns, u64, 1);
BPF_RINGBUF_OUTPUT(drops, 16);

struct stripe {
	struct bpf_spin_lock lock;
};
BPF_ARRAY(stripes, struct stripe, 64);

enum update { SWAP, RACY, LOCKED };

struct step {
	u64 due;
	int passes;
};

/* What a packet at `now` does to a bucket.  Nobody can be further ahead than an empty bucket is, unless the
 * limits have just changed: then the bucket counts as empty from now on, and that is kept, so that a slow
 * limit of the past does not shut out its sources for hours. */
static __always_inline struct step step(u64 due, u64 now, u64 interval, u64 tolerance)
{
	struct step next = {.due = due};
	u64 empty = now + tolerance + interval;

	if (due > empty) {
		next.due = empty;
	} else if (due <= now + tolerance) {
		next.due = (due > now ? due : now) + interval;
		next.passes = 1;
	}
	return next;
}

static __always_inline int take_by_swap(u64 *due, u64 now, u64 interval, u64 tolerance, u64 *raced)
{
	#pragma clang loop unroll(disable)
	for (int i = 0; i < TRIES; i++) {
		u64 seen = *(volatile u64 *)due;
		struct step next = step(seen, now, interval, tolerance);

		if (next.due == seen)
			return 0;
		if (__sync_val_compare_and_swap(due, seen, next.due) == seen)
			return next.passes;
		*raced += 1;
	}
	return 0;
}

static __always_inline int take_and_race(u64 *due, u64 now, u64 interval, u64 tolerance)
{
	u64 seen = *(volatile u64 *)due;
	struct step next = step(seen, now, interval, tolerance);

	if (next.due != seen)
		*(volatile u64 *)due = next.due;
	return next.passes;
}

static __always_inline int take_locked(u64 *due, u64 now, u64 interval, u64 tolerance, u32 key)
{
	u32 which = key & 63;
	struct stripe *stripe = stripes.lookup(&which);
	struct step next;

	if (!stripe)
		return 0;
	bpf_spin_lock(&stripe->lock);
	next = step(*due, now, interval, tolerance);
	*due = next.due;
	bpf_spin_unlock(&stripe->lock);
	return next.passes;
}

/* `update` is a constant where this is called: each program holds one of the three. */
static __always_inline int take(enum update update, u64 *due, u64 now, struct limits *limit,
				u64 *raced, u32 key)
{
	u64 interval = limit->interval_ns, tolerance = limit->tolerance_ns;

	if (update == RACY)
		return take_and_race(due, now, interval, tolerance);
	if (update == LOCKED)
		return take_locked(due, now, interval, tolerance, key);
	return take_by_swap(due, now, interval, tolerance, raced);
}

/* A source not seen before takes a token of the newcomers' bucket before it gets one of its own.  So a
 * flood from made-up sources cannot push the known ones out of the table faster than that bucket fills,
 * and gains nothing by being forgotten. */
static __always_inline int welcome(struct limits *limit, u64 now, u64 *raced)
{
	u32 zero = 0;
	u64 *due;

	if (!limit->newcomer_interval_ns)
		return 1;
	due = newcomers_due_ns.lookup(&zero);
	return due && take_by_swap(due, now, limit->newcomer_interval_ns,
				   limit->newcomer_tolerance_ns, raced);
}

static __always_inline void report(struct address *source, u64 now, u64 gap_ns)
{
	u32 zero = 0;
	u64 *last = reported_ns.lookup(&zero);
	struct drop *drop;

	if (!gap_ns || !last || now < *last + gap_ns)
		return;
	drop = drops.ringbuf_reserve(sizeof(*drop));
	if (!drop)
		return;
	*last = now;
	drop->source = *source;
	drop->at_ns = now;
	drops.ringbuf_submit(drop, 0);
}

static __always_inline int admit(enum update update, struct address *source, u64 now,
				 struct counts *count)
{
	u32 zero = 0, *which = current_limits.lookup(&zero);
	struct prefix whole = {.length = 128};
	u32 slot = which ? *which & 1 : 0;
	struct limits *limit = limits.lookup(&slot);
	u64 *due, none = 0;

	if (!limit || !limit->interval_ns)
		return 1;
	if (limit->some_always_in) {
		__builtin_memcpy(whole.word, source->word, sizeof(whole.word));
		if (always_in.lookup(&whole)) {
			count->allowed++;
			return 1;
		}
	}
	if (!count->first_ns)
		count->first_ns = now;
	count->last_ns = now;
	due = due_ns.lookup(source);
	if (!due) {
		if (!welcome(limit, now, &count->raced)) {
			count->newcomers++;
			goto drop;
		}
		due_ns.insert(source, &none); /* another CPU may have been first: then its entry stays */
		due = due_ns.lookup(source);
	}
	if (due && take(update, due, now, limit, &count->raced, source->word[3])) {
		count->passed++;
		return 1;
	}
drop:
	count->dropped++;
	report(source, now, limit->event_gap_ns);
	return 0;
}

/* Read the source's address; 0 when the packet is exempt. */
static __always_inline int source_of(void *data, void *end, struct address *source, void **payload)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > end)
		return 0;
	if (eth->h_proto == htons(ETH_P_IP)) {
		struct iphdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end || ip->protocol == ICMP)
			return 0;
		source->word[2] = htonl(0xffff);
		source->word[3] = ip->saddr;
		*payload = (void *)(ip + 1) + UDP_HEADER;
		return 1;
	}
	if (eth->h_proto == htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip = (void *)(eth + 1);

		if ((void *)(ip + 1) > end || ip->nexthdr == ICMPV6)
			return 0;
		__builtin_memcpy(source->word, &ip->saddr, sizeof(source->word));
		*payload = (void *)(ip + 1) + UDP_HEADER;
		return 1;
	}
	return 0;
}

enum clock { KERNEL, PACKET };

static __always_inline int passes(enum update update, enum clock clock, void *data, void *end)
{
	u32 zero = 0;
	struct counts *count = counts.lookup(&zero);
	struct address source = {};
	void *payload = data;

	if (!count)
		return 1;
	if (!source_of(data, end, &source, &payload)) {
		count->exempt++;
		return 1;
	}
	if (clock == KERNEL)
		return admit(update, &source, bpf_ktime_get_ns(), count);
	if (payload + sizeof(u64) > end)
		return 1;
	return admit(update, &source, *(u64 *)payload, count);
}

static __always_inline int verdict(enum update update, enum clock clock, struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;

	return passes(update, clock, data, end) ? XDP_PASS : XDP_DROP;
}

int limit_xdp(struct xdp_md *ctx)
{
	return verdict(SWAP, KERNEL, ctx);
}

int limit_tc(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	return passes(SWAP, KERNEL, data, end) ? TC_PASS : TC_DROP;
}

int racy_xdp(struct xdp_md *ctx)
{
	return verdict(RACY, KERNEL, ctx);
}

int locked_xdp(struct xdp_md *ctx)
{
	return verdict(LOCKED, KERNEL, ctx);
}

int judge_xdp(struct xdp_md *ctx)
{
	return verdict(SWAP, PACKET, ctx);
}

int nothing_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}

int drop_xdp(struct xdp_md *ctx)
{
	return XDP_DROP;
}

int drop_tc(struct __sk_buff *skb)
{
	return TC_DROP;
}

/* Three programs for the exercises: a pacer that makes packets wait where the limiter drops them, one that
 * notes when packets arrive, and a limiter on the way out of a service (a control group). */
#include <uapi/linux/bpf.h>
#include <uapi/linux/pkt_cls.h>

struct pace {
	u64 interval_ns, tolerance_ns;
	u64 longest_ns; /* a packet that would have to wait longer is dropped */
	u64 together;   /* services share one bucket */
};

struct fate {
	u64 passed, dropped;
};

BPF_ARRAY(pace, struct pace, 1);
BPF_ARRAY(pace_due_ns, u64, 1);
BPF_ARRAY(pace_fate, struct fate, 1);
BPF_ARRAY(arrived, u64, 1);
BPF_ARRAY(arrived_ns, u64, 4096);
BPF_HASH(service_due_ns, u64, u64, 64);
BPF_HASH(service_fate, u64, struct fate, 64);

/* Give the packet the time at which it may leave; the queue behind (fq) keeps it until then.  It is the
 * same bucket as the limiter's, asked for its next token instead of one that is there now. */
int shape_tc(struct __sk_buff *skb)
{
	u32 zero = 0;
	struct pace *p = pace.lookup(&zero);
	struct fate *fate = pace_fate.lookup(&zero);
	u64 *due = pace_due_ns.lookup(&zero), now = bpf_ktime_get_ns(), granted = now;

	if (!p || !fate || !due || !p->interval_ns)
		return TC_ACT_OK;
	if (*due > now + p->tolerance_ns)
		granted = *due - p->tolerance_ns;
	if (granted - now > p->longest_ns) {
		fate->dropped++;
		return TC_ACT_SHOT;
	}
	*due = (granted > *due ? granted : *due) + p->interval_ns;
	skb->tstamp = granted;
	fate->passed++;
	return TC_ACT_OK;
}

int note_xdp(struct xdp_md *ctx)
{
	u32 zero = 0;
	u64 *seen = arrived.lookup(&zero);

	if (seen && *seen < 4096) {
		u32 which = *seen;
		u64 *at = arrived_ns.lookup(&which);

		if (at)
			*at = bpf_ktime_get_ns();
		*seen += 1;
	}
	return XDP_DROP;
}

/* 1: the packet may leave.  Not exact on several CPUs, and needs not be: the guest has one. */
int limit_cgroup(struct __sk_buff *skb)
{
	u32 zero = 0;
	u64 service = bpf_skb_cgroup_id(skb), none = 0, now = bpf_ktime_get_ns();
	u64 bucket = service;
	struct pace *p = pace.lookup(&zero);
	struct fate nothing = {}, *fate = service_fate.lookup_or_try_init(&service, &nothing);
	u64 *due;

	if (!p || !fate || !p->interval_ns)
		return 1;
	if (p->together)
		bucket = 0;
	due = service_due_ns.lookup_or_try_init(&bucket, &none);
	if (!due || *due > now + p->tolerance_ns) {
		fate->dropped++;
		return 0;
	}
	*due = (*due > now ? *due : now) + p->interval_ns;
	fate->passed++;
	return 1;
}

/* Two histograms in powers of two: how long a process that could run had to wait for a CPU, and how long TCP
 * connections lived.  Summed in the kernel: a flood of events never becomes a flood of messages. */
#include <uapi/linux/bpf.h>

/* of net/tcp_states.h and uapi/linux/in.h, which include what takes seconds to compile */
enum { SYN_SENT = 2, CLOSED = 7, TCP = 6 };

BPF_HASH(runnable_ns, u32, u64, 10240);
BPF_HASH(opened_ns, u64, u64, 10240);
BPF_HISTOGRAM(run_queue_us, u64, 64);
BPF_HISTOGRAM(tcp_life_us, u64, 64);

static __always_inline void becomes_runnable(u32 pid)
{
	u64 now = bpf_ktime_get_ns();

	runnable_ns.update(&pid, &now);
}

TRACEPOINT_PROBE(sched, sched_wakeup)
{
	becomes_runnable(args->pid);
	return 0;
}

TRACEPOINT_PROBE(sched, sched_wakeup_new)
{
	becomes_runnable(args->pid);
	return 0;
}

TRACEPOINT_PROBE(sched, sched_switch)
{
	u32 next = args->next_pid;
	u64 *since;

	if (args->prev_state == 0 && args->prev_pid)
		becomes_runnable(args->prev_pid);
	since = runnable_ns.lookup(&next);
	if (since) {
		run_queue_us.increment(bpf_log2l((bpf_ktime_get_ns() - *since) / 1000));
		runnable_ns.delete(&next);
	}
	return 0;
}

TRACEPOINT_PROBE(sock, inet_sock_set_state)
{
	u64 key = (u64)args->skaddr, now = bpf_ktime_get_ns(), *since;

	if (args->protocol != TCP)
		return 0;
	if (args->newstate == SYN_SENT)
		opened_ns.update(&key, &now);
	if (args->newstate == CLOSED) {
		since = opened_ns.lookup(&key);
		if (since) {
			tcp_life_us.increment(bpf_log2l((now - *since) / 1000));
			opened_ns.delete(&key);
		}
	}
	return 0;
}

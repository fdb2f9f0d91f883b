// SPDX-License-Identifier: GPL-2.0-only
#include <unistd.h>

#include "lu_access.h"
#include "lu_die.h"
#include "lu_vmm.h"

#define FRAMES_PATIENCE_MS	10000
#define CATCH_UP_MS		5000
#define HEART_PATIENCE_MS	5000
#define POLL_MS			20

void check_alive(struct vmm *v)
{
	const char *why = lu_vm_why_dead(&v->vm);

	if (why)
		lu_die("the guest died: %s", why);
}

static void sleep_ms(long ms)
{
	usleep(ms * 1000);
}

void let_run(struct vmm *v, long ms)
{
	for (; ms > 0; ms -= POLL_MS) {
		sleep_ms(POLL_MS);
		check_alive(v);
	}
}

uint32_t frames_seen(struct vmm *v)
{
	struct lu_guest_control c = lu_vm_read_control(v->ram);

	return lu_vm_frames(&c);
}

bool await_frames(struct vmm *v, uint32_t want)
{
	uint32_t seen = frames_seen(v), before;
	long silence = 0;

	while (seen < want && silence < FRAMES_PATIENCE_MS) {
		let_run(v, POLL_MS);
		before = seen;
		seen = frames_seen(v);
		silence = seen == before ? silence + POLL_MS : 0;
	}
	if (seen < want)
		ksft_print_msg("no frame for %d s, the guest accepted %u of %u\n",
			       FRAMES_PATIENCE_MS / 1000, seen, want);
	return seen >= want;
}

static bool guest_has_work(struct vmm *v)
{
	struct lu_guest_control c = lu_vm_read_control(v->ram);
	struct lu_rx_desc *ring = lu_vm_ring(v->ram);
	uint32_t q, slot;

	for (q = 0; q < LU_QUEUES; q++) {
		slot = q * LU_QUEUE_SLOTS + c.queue[q].next_slot % LU_QUEUE_SLOTS;
		if (lu_load(&ring[slot].wb.status) & 1)
			return true;
	}
	return false;
}

bool catch_up(struct vmm *v)
{
	long left;

	/* Asked once only: the next frame may land at any time. */
	for (left = CATCH_UP_MS; left > 0; left -= POLL_MS) {
		if (!guest_has_work(v))
			return true;
		let_run(v, POLL_MS);
	}
	return false;
}

bool heart_beats(struct vmm *v)
{
	uint32_t before = lu_vm_read_control(v->ram).heartbeat;
	long left;

	for (left = HEART_PATIENCE_MS; left > 0; left -= POLL_MS) {
		let_run(v, POLL_MS);
		if (lu_vm_read_control(v->ram).heartbeat != before)
			return true;
	}
	return false;
}

void hold_in_handler(struct vmm *v)
{
	struct lu_guest_control *c = lu_vm_control(v->ram);
	uint32_t held = lu_load(&c->held);
	long left;

	lu_store(&c->hold, 1);
	for (left = FRAMES_PATIENCE_MS; left > 0 && lu_load(&c->held) == held; left--) {
		check_alive(v);
		sleep_ms(1);
	}
	if (left <= 0)
		lu_die("the guest is not interrupted");
}

void await_heart(struct vmm *v, uint32_t heartbeat)
{
	int naps = 10000;

	while (lu_load(&lu_vm_control(v->ram)->heartbeat) == heartbeat && naps--)
		usleep(100);
}

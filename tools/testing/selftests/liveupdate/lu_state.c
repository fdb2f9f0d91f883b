// SPDX-License-Identifier: GPL-2.0-only
#include <assert.h>
#include <stddef.h>

#include "lu_state.h"

static_assert(sizeof(struct lu_state) <= LU_STATE_FILE_SIZE,
	      "the state must fit into its memfd");

/* FNV-1a: detects damage, not attacks. */
static uint64_t checksum(const struct lu_state *s)
{
	size_t i = offsetof(struct lu_state, checksum) + sizeof(s->checksum);
	const unsigned char *bytes = (const unsigned char *)s;
	uint64_t h = 0xcbf29ce484222325ull;

	for (; i < sizeof(*s); i++)
		h = (h ^ bytes[i]) * 0x100000001b3ull;
	return h;
}

void lu_state_seal(struct lu_state *s)
{
	s->magic = LU_STATE_MAGIC;
	s->version = LU_STATE_VERSION;
	s->size = sizeof(*s);
	s->checksum = checksum(s);
}

const char *lu_state_refusal(const struct lu_state *s)
{
	if (s->magic != LU_STATE_MAGIC)
		return "it does not begin with the magic number";
	if (s->version != LU_STATE_VERSION)
		return "it has another version";
	if (s->size != sizeof(*s))
		return "it has another size";
	if (s->checksum != checksum(s))
		return "its checksum is wrong";
	return NULL;
}

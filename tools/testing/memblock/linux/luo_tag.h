/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _TEST_LUO_TAG_H
#define _TEST_LUO_TAG_H

#endif

/* SPDX-License-Identifier: MIT */
/* Where a process was when it was aborted: its frames, on standard error.
 *
 * The master sends SIGABRT to a worker that is stuck; assert(3) raises it, too. */
#pragma once

/* From now on SIGABRT writes the frames, a line each, and then ends the process as it
 * would have. It needs no stack of the one that is stuck. */
void backtrace_at_abort(void);

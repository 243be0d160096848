//! Interrupting the processors on which this process runs, so that a thread stuck in user code passes through
//! the kernel's exit path, where its rings' completions are posted.
//!
//! `membarrier(2)` does just that, and nothing else that anybody notices: no signal, no EINTR.

use std::sync::OnceLock;

/// Interrupts; `false` if this kernel, or its seccomp profile, does not let us.
pub(super) fn interrupt_all() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
        && membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED)
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call takes no pointer.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

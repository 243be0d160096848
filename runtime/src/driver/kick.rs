//! Interrupting the processors on which this process runs, so that a thread stuck in user code passes through
//! the kernel's exit path, where its rings' completions are posted.
//!
//! `membarrier(2)` does just that, and nothing else that anybody notices: no signal, no EINTR.

use std::sync::OnceLock;

/// Interrupts. Where the kernel, or a seccomp profile, does not let us, the stuck thread's own tick has to do.
pub(super) fn interrupt_all() {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    let register = || membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
    if *REGISTERED.get_or_init(register) {
        membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED);
    }
}

fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: the call takes no pointer.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

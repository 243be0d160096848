//! The 64 bytes of a submission queue entry, with names.

use io_uring::squeue;

/// An entry as the kernel reads it. Which field means what depends on the opcode; the names are those of the field's
/// most common use, and of the others only where no comment can do.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Sqe {
    pub(super) opcode: u8,
    /// `IOSQE_…`
    pub(super) flags: u8,
    /// Flags of some socket operations; otherwise a priority, which nobody here has use for.
    pub(super) ioprio: u16,
    pub(super) fd: i32,
    /// Also a second address, or a length.
    pub(super) off: u64,
    /// Also a length, or an offset.
    pub(super) addr: u64,
    /// Also a mode, or a descriptor.
    pub(super) len: u32,
    /// The flags of the call.
    pub(super) op_flags: u32,
    pub(super) user_data: u64,
    buf_index: u16,
    personality: u16,
    /// Also the slot of a registered file, or the length of a second address.
    pub(super) splice_fd_in: i32,
    addr3: u64,
    pad: u64,
}

const _: () = assert!(
    size_of::<Sqe>() == 64 && size_of::<squeue::Entry>() == 64,
    "an SQE has 64 bytes"
);
const _: () = assert!(align_of::<Sqe>() <= align_of::<squeue::Entry>());

impl Sqe {
    pub(super) fn of(entry: &squeue::Entry) -> Self {
        // SAFETY: `Entry` is `repr(C)` over the kernel's structure, whose layout is part of the system-call interface;
        // sizes and alignment are checked above, all of its bytes are initialised by its builders, and every field
        // here is an integer.
        unsafe { std::ptr::from_ref(entry).cast::<Self>().read() }
    }

    /// The address as a pointer that the kernel would read through.
    pub(super) fn source<T>(&self) -> *const T {
        self.addr as usize as *const T
    }

    /// The address as a pointer that the kernel would write through.
    pub(super) fn target<T>(&self) -> *mut T {
        self.addr as usize as *mut T
    }

    /// The second address.
    pub(super) fn second<T>(&self) -> *mut T {
        self.off as usize as *mut T
    }

    /// The offset as system calls have it: all ones are -1, "at the position".
    pub(super) fn offset(&self) -> i64 {
        self.off as i64
    }

    pub(super) fn call_flags(&self) -> i32 {
        self.op_flags as i32
    }
}

#[cfg(test)]
mod tests {
    use io_uring::{opcode, types};

    use super::Sqe;

    /// Each field is put where the kernel has it, by those who know: the builders. Mutant: two fields change places.
    #[test]
    fn fields_lie_where_the_builders_put_them() {
        let entry = opcode::Splice::new(types::Fd(3), 4, types::Fd(5), 6, 7)
            .flags(8)
            .build()
            .user_data(9);
        let sqe = Sqe::of(&entry);
        assert_eq!(sqe.opcode, opcode::Splice::CODE);
        assert_eq!((sqe.splice_fd_in, sqe.addr), (3, 4));
        assert_eq!((sqe.fd, sqe.off), (5, 6));
        assert_eq!((sqe.len, sqe.op_flags, sqe.user_data), (7, 8, 9));

        let accept = opcode::AcceptMulti::new(types::Fd(1)).build();
        assert_eq!(Sqe::of(&accept).ioprio, 1);
        let fixed = opcode::Read::new(types::Fixed(1), std::ptr::null_mut(), 0).build();
        assert_eq!(Sqe::of(&fixed).flags, 1);
    }
}

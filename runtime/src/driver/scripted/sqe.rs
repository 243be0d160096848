//! The fields of an SQE that a script reads and changes. The io-uring crate makes SQEs and does not show them.

use io_uring::squeue;

/// An SQE as the kernel's 64 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sqe([u8; SQE_BYTES]);

const SQE_BYTES: usize = 64;
const _: () = assert!(size_of::<squeue::Entry>() == SQE_BYTES, "an SQE");

/// Opcodes, as in the kernel's interface.
pub(super) mod opcode {
    pub(crate) const NOP: u8 = 0;
    pub(crate) const FSYNC: u8 = 3;
    pub(crate) const POLL_ADD: u8 = 6;
    pub(crate) const POLL_REMOVE: u8 = 7;
    pub(crate) const RECVMSG: u8 = 10;
    pub(crate) const TIMEOUT_REMOVE: u8 = 12;
    pub(crate) const ACCEPT: u8 = 13;
    pub(crate) const ASYNC_CANCEL: u8 = 14;
    pub(crate) const CLOSE: u8 = 19;
    pub(crate) const READ: u8 = 22;
    pub(crate) const WRITE: u8 = 23;
    pub(crate) const SEND: u8 = 26;
    pub(crate) const RECV: u8 = 27;
    pub(crate) const SPLICE: u8 = 30;
    pub(crate) const SEND_ZC: u8 = 47;
    pub(crate) const READ_MULTISHOT: u8 = 49;
}

/// IOSQE_IO_DRAIN, IOSQE_IO_LINK, IOSQE_IO_HARDLINK, IOSQE_CQE_SKIP_SUCCESS.
const ORDERING_FLAGS: u8 = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 6;
/// IOSQE_FIXED_FILE: the descriptor is an index.
const FIXED_FILE: u8 = 1;
const POLL_ADD_MULTI: u32 = 1;
const ACCEPT_MULTISHOT: u16 = 1;
const RECV_MULTISHOT: u16 = 1 << 1;
const RECVSEND_BUNDLE: u16 = 1 << 4;
/// Where a multishot receive has the most bytes that it brings in all.
const OPTLEN: usize = 44;

impl Sqe {
    pub(super) fn of(entry: &squeue::Entry) -> Self {
        // SAFETY: an entry is the kernel's structure of plain numbers, 64 bytes of them, all initialised when it is
        // made by an opcode's `build`, which begins with zeros.
        Self(unsafe { std::ptr::from_ref(entry).cast::<[u8; SQE_BYTES]>().read() })
    }

    pub(super) fn into_entry(self) -> squeue::Entry {
        // SAFETY: any 64 bytes are numbers of an entry. What they mean to the kernel differs from the entry that they
        // were read from only by a smaller length, or by not being multishot.
        unsafe { std::mem::transmute::<[u8; SQE_BYTES], squeue::Entry>(self.0) }
    }

    pub(super) fn opcode(&self) -> u8 {
        self.0[0]
    }

    /// Whether it is ordered with its neighbours.
    pub(super) fn is_ordered(&self) -> bool {
        self.0[1] & ORDERING_FLAGS != 0
    }

    /// The descriptor, if it is one and not an index.
    pub(super) fn fd(&self) -> Option<i32> {
        (self.0[1] & FIXED_FILE == 0).then(|| i32::from_ne_bytes(self.field(4)))
    }

    pub(super) fn len(&self) -> u32 {
        u32::from_ne_bytes(self.field(24))
    }

    pub(super) fn set_len(&mut self, len: u32) {
        self.0[24..28].copy_from_slice(&len.to_ne_bytes());
    }

    pub(super) fn user_data(&self) -> u64 {
        u64::from_ne_bytes(self.field(32))
    }

    /// Whether it may answer more than once.
    pub(super) fn is_multishot(mut self) -> bool {
        self.opcode() == opcode::READ_MULTISHOT || self.make_single()
    }

    /// Makes a multishot operation answer once; `false` if it is none, or one that cannot.
    pub(super) fn make_single(&mut self) -> bool {
        let ioprio = u16::from_ne_bytes(self.field(2));
        match self.opcode() {
            opcode::POLL_ADD if self.len() & POLL_ADD_MULTI != 0 => {
                self.set_len(self.len() & !POLL_ADD_MULTI);
                true
            }
            opcode::ACCEPT => self.clear_ioprio(ioprio, ACCEPT_MULTISHOT),
            opcode::RECV | opcode::RECVMSG => {
                // A single one takes no bound. Without it a bundle would go on, and be more than an answer of many.
                self.0[OPTLEN..OPTLEN + 4].fill(0);
                self.clear_ioprio(ioprio & !RECVSEND_BUNDLE, RECV_MULTISHOT)
            }
            _ => false,
        }
    }

    fn clear_ioprio(&mut self, ioprio: u16, bit: u16) -> bool {
        self.0[2..4].copy_from_slice(&(ioprio & !bit).to_ne_bytes());
        ioprio & bit != 0
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut field = [0; N];
        field.copy_from_slice(&self.0[at..at + N]);
        field
    }
}

#[cfg(test)]
mod tests {
    use io_uring::{opcode, types};

    use super::*;

    #[test]
    fn an_sqe_is_read_and_written_where_the_kernel_reads_it() {
        let mut bytes = [0; 100];
        let entry = opcode::Recv::new(types::Fd(7), bytes.as_mut_ptr(), 100)
            .build()
            .user_data(0x1234_5678_9ABC);
        let mut sqe = Sqe::of(&entry);
        assert_eq!(u32::from(sqe.opcode()), entry.get_opcode());
        assert_eq!((sqe.fd(), sqe.len()), (Some(7), 100));
        assert_eq!(sqe.user_data(), entry.get_user_data());
        sqe.set_len(3);
        let shorter = opcode::Recv::new(types::Fd(7), bytes.as_mut_ptr(), 3).build();
        let shorter = shorter.user_data(0x1234_5678_9ABC);
        assert_eq!(sqe.0, Sqe::of(&shorter).0);
        assert_eq!(Sqe::of(&sqe.into_entry()).0, sqe.0);
    }

    #[test]
    fn a_multishot_operation_becomes_the_single_one() {
        let fd = types::Fd(3);
        let single = opcode::PollAdd::new(fd, 1).build();
        let mut multi = Sqe::of(&opcode::PollAdd::new(fd, 1).multi(true).build());
        assert!(multi.is_multishot() && multi.make_single());
        assert_eq!(multi.0, Sqe::of(&single).0);
        assert!(!multi.is_multishot() && !Sqe::of(&single).make_single());
        let mut multi = Sqe::of(&opcode::AcceptMulti::new(fd).build());
        assert!(multi.make_single());
        let null = std::ptr::null_mut;
        let single = opcode::Accept::new(fd, null(), null().cast());
        assert_eq!(multi.0, Sqe::of(&single.build()).0);
        let mut multi = Sqe::of(&opcode::RecvMultiBundle::new(fd, 2).build());
        assert!(multi.make_single());
        let single = opcode::Recv::new(fd, null().cast(), 0).buf_group(2);
        let single = single.build().flags(squeue::Flags::BUFFER_SELECT);
        assert_eq!(multi.0, Sqe::of(&single).0);
    }
}

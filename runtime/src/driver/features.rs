//! What the kernel under the driver can do: the one place that says so.
//!
//! The kernel is asked once in a process, with a small ring that is closed again: which set-up flags it takes, by trial
//! from the newest set downwards; which opcodes it has, by `IORING_REGISTER_PROBE`; the rest by the features that it
//! reports, and, where it reports nothing, by an opcode of the same version. A version number is not looked at, because
//! distributions carry newer parts in older kernels.
//!
//! Each shard has the [`Features`] of its device. Code above the driver asks [`features`]; what is missing there is done
//! in the older way. For tests, [`super::knobs`] takes features and opcodes away as if the kernel were older.

use std::io;
use std::sync::OnceLock;

use io_uring::register::Probe;
use io_uring::{IoUring, Parameters, opcode};

use super::current::{Here, with_here};
use super::doorbell;
use super::error::SetupError;
use super::knobs;
use super::provided::takes_bounded_bundles;
use super::setup::with_patience;

/// What the driver of this thread's runtime can do; nothing where no runtime is entered.
pub fn features() -> Features {
    with_here(|here| match here {
        Here::Owner(shard) | Here::Guest(shard) => shard.features(),
        Here::Nowhere => Features::NONE,
    })
}

/// A set of features and opcodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// One bit for each [`Feature`], by its discriminant.
    named: u32,
    /// One bit for each opcode.
    opcodes: u64,
}

/// Something that not every kernel has, and that is no opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// `IORING_SETUP_COOP_TASKRUN` and `IORING_SETUP_TASKRUN_FLAG`: completions interrupt nobody, and are announced in
    /// memory.
    CooperativeTaskrun,
    /// `IORING_SETUP_SUBMIT_ALL`: a bad SQE does not hold back those behind it.
    SubmitAll,
    /// `IORING_ENTER_NO_IOWAIT`: a sleep in the ring is not counted as waiting for a disk.
    NoIowait,
    /// `IORING_REGISTER_SEND_MSG_RING`: a thread without a ring posts into one.
    RinglessMessage,
    /// `IORING_ASYNC_CANCEL_ANY` and its relatives: one request cancels everything in a ring.
    CancelAny,
    /// Multishot polls.
    MultishotPoll,
    /// Multishot accepts.
    MultishotAccept,
    /// Multishot receives into provided buffers.
    MultishotReceive,
    /// Rings of provided buffers (`IORING_REGISTER_PBUF_RING`).
    BufferRings,
    /// Provided buffers that are used up bit by bit (`IOU_PBUF_RING_INC`).
    IncrementalBuffers,
    /// Receives that use several provided buffers at once (`IORING_RECVSEND_BUNDLE`, 6.10), and are told how many bytes they
    /// may bring in all (6.17).
    Bundles,
    /// `IORING_RECVSEND_POLL_FIRST`: a send or receive that waits without a try.
    PollFirst,
    /// Tables of registered files and buffers that are filled later (`IORING_RSRC_REGISTER_SPARSE`).
    SparseTables,
    /// `IOSQE_CQE_SKIP_SUCCESS`: no CQE for what went well.
    SkipSuccess,
}

use Feature::{
    BufferRings, Bundles, CancelAny, CooperativeTaskrun, IncrementalBuffers, MultishotAccept,
    MultishotPoll, MultishotReceive, NoIowait, PollFirst, RinglessMessage, SkipSuccess,
    SparseTables, SubmitAll,
};

/// A version of the kernel: major and minor number.
pub(super) type Version = (u8, u8);

/// Newer than every kernel: takes nothing away.
pub(super) const LATEST: Version = (u8::MAX, u8::MAX);

/// The features, with the version that brought each.
const FEATURES: [(Feature, Version); 14] = [
    (MultishotPoll, (5, 13)),
    (SkipSuccess, (5, 17)),
    (SubmitAll, (5, 18)),
    (CooperativeTaskrun, (5, 19)),
    (CancelAny, (5, 19)),
    (MultishotAccept, (5, 19)),
    (BufferRings, (5, 19)),
    (PollFirst, (5, 19)),
    (SparseTables, (5, 19)),
    (MultishotReceive, (6, 0)),
    (IncrementalBuffers, (6, 12)),
    (RinglessMessage, (6, 13)),
    (NoIowait, (6, 15)),
    (Bundles, (6, 17)),
];

/// Which opcodes came with which version: those from this one on, up to the next row.
const OPCODES: [(u8, Version); 12] = [
    (0, (5, 11)),
    (opcode::MkDirAt::CODE, MINIMUM),
    (opcode::MsgRingData::CODE, (5, 18)),
    (opcode::FSetXattr::CODE, (5, 19)),
    (opcode::SendZc::CODE, (6, 0)),
    (opcode::SendMsgZc::CODE, (6, 1)),
    (opcode::ReadMulti::CODE, (6, 7)),
    (opcode::FixedFdInstall::CODE, (6, 8)),
    (opcode::Ftruncate::CODE, (6, 9)),
    (opcode::Bind::CODE, (6, 11)),
    (opcode::RecvZc::CODE, (6, 15)),
    (opcode::Pipe::CODE, (6, 16)),
];

/// The oldest kernel whose io_uring the driver uses. It is told by its newest opcode, `IORING_OP_LINKAT`.
const MINIMUM: Version = (5, 15);
/// SQEs of the ring that asks.
const PROBE_ENTRIES: u32 = 1;

impl Features {
    /// Nothing.
    pub const NONE: Self = Self {
        named: 0,
        opcodes: 0,
    };

    /// These, and no others.
    pub(super) fn of(named: &[Feature], opcodes: &[u8]) -> Self {
        Self {
            named: named.iter().fold(0, |all, feature| all | bit(*feature)),
            opcodes: opcodes.iter().fold(0, |all, code| all | 1 << code),
        }
    }

    /// Whether `feature` is there.
    pub fn has(self, feature: Feature) -> bool {
        self.named & bit(feature) != 0
    }

    /// Whether the kernel has the opcode: the constant `CODE` of a type in [`super::opcode`].
    pub fn has_opcode(self, code: u8) -> bool {
        u32::from(code) < u64::BITS && self.opcodes & (1 << code) != 0
    }

    /// What this kernel has, without what the knobs take away.
    ///
    /// # Errors
    ///
    /// If no ring can be made, or the kernel is too old. The next call asks again.
    pub(super) fn of_kernel() -> Result<Self, SetupError> {
        static ASKED: OnceLock<Features> = OnceLock::new();
        if let Some(features) = ASKED.get() {
            return Ok(*features);
        }
        let features = Self::ask(knobs::kernel_mask()?)?;
        Ok(*ASKED.get_or_init(|| features))
    }

    /// Asks the kernel for what it has in common with the version `mask`.
    fn ask(mask: Version) -> Result<Self, SetupError> {
        let (ring, flags) = try_flags(mask)?;
        let mut probe = Probe::new();
        ring.submitter()
            .register_probe(&mut probe)
            .map_err(|source| SetupError::new("ask for the opcodes of io_uring", source))?;
        let mut features = Self::NONE;
        for code in (0..u64::BITS as u8).filter(|code| opcode_version(*code) <= mask) {
            features.opcodes |= u64::from(probe.is_supported(code)) << code;
        }
        for (feature, since) in FEATURES {
            let found = match feature {
                CooperativeTaskrun | SubmitAll => flags & bit(feature) != 0,
                RinglessMessage => doorbell::send_message(&ring).is_ok(),
                Bundles => {
                    ring.params().is_feature_recvsend_bundle() && takes_bounded_bundles(&ring)
                }
                other => is_there(other, ring.params(), &probe),
            };
            if found && since <= mask {
                features.named |= bit(feature);
            }
        }
        features.check(ring.params())?;
        Ok(features)
    }

    /// Below this nothing works: a wait with a timeout, completions that are never dropped, and the operations that
    /// the driver and its users have no other way for.
    fn check(self, params: &Parameters) -> Result<(), SetupError> {
        let is_enough = params.is_feature_ext_arg()
            && params.is_feature_nodrop()
            && self.has(MultishotPoll)
            && self.has_opcode(opcode::LinkAt::CODE);
        if is_enough {
            return Ok(());
        }
        let source = io::Error::from_raw_os_error(libc::EINVAL);
        Err(SetupError::new("use the io_uring of this kernel", source))
    }
}

/// The newest set of set-up flags that the kernel takes, and the ring that it made with them.
fn try_flags(mask: Version) -> Result<(IoUring, u32), SetupError> {
    let sets = [bit(CooperativeTaskrun) | bit(SubmitAll), bit(SubmitAll), 0];
    let allowed = |set: &u32| {
        let mut parts = FEATURES.iter().filter(|(part, _)| set & bit(*part) != 0);
        parts.all(|(_, since)| *since <= mask)
    };
    let mut refused = io::Error::from_raw_os_error(libc::EINVAL);
    for named in sets.into_iter().filter(allowed) {
        let features = Features { named, opcodes: 0 };
        let make = |(entries, _)| ring_builder(features).build(entries);
        match with_patience((PROBE_ENTRIES, PROBE_ENTRIES), make) {
            Ok(ring) => return Ok((ring, named)),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => refused = error,
            Err(error) => return Err(SetupError::new("create an io_uring", error)),
        }
    }
    Err(SetupError::new("create an io_uring", refused))
}

/// A builder with the set-up flags of `features`.
///
/// COOP_TASKRUN: no interrupt to the owner for each completion, yet, unlike with DEFER_TASKRUN, other threads
/// see the completions of an owner that is stuck in user code. TASKRUN_FLAG: the owner sees in memory that
/// completions wait for it to enter the kernel. SUBMIT_ALL: one bad SQE does not hold back the others.
pub(super) fn ring_builder(features: Features) -> io_uring::Builder {
    let mut builder = IoUring::builder();
    builder.dontfork();
    if features.has(CooperativeTaskrun) {
        builder.setup_coop_taskrun().setup_taskrun_flag();
    }
    if features.has(SubmitAll) {
        builder.setup_submit_all();
    }
    builder
}

/// What the kernel reports, or, where it reports nothing, whether it has an opcode that came with the same version.
fn is_there(feature: Feature, params: &Parameters, probe: &Probe) -> bool {
    match feature {
        MultishotPoll => params.is_feature_resource_tagging(),
        SkipSuccess => params.is_feature_skip_cqe_on_success(),
        CancelAny | MultishotAccept | BufferRings | PollFirst | SparseTables => {
            probe.is_supported(opcode::Socket::CODE)
        }
        MultishotReceive => probe.is_supported(opcode::SendZc::CODE),
        IncrementalBuffers => params.is_feature_min_timeout(),
        NoIowait => params.is_feature_no_iowait(),
        CooperativeTaskrun | SubmitAll | RinglessMessage | Bundles => false,
    }
}

fn bit(feature: Feature) -> u32 {
    1 << feature as u32
}

fn opcode_version(code: u8) -> Version {
    let row = OPCODES.iter().rev().find(|(first, _)| *first <= code);
    row.map_or(LATEST, |(_, since)| *since)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernels that the suites are run as.
    const KERNELS: [Version; 4] = [(5, 15), (6, 1), (6, 6), (6, 12)];

    fn asked(mask: Version) -> Features {
        Features::ask(mask).expect("a kernel with io_uring")
    }

    /// Mutant: `ask` does not compare a feature's version with the mask.
    #[test]
    fn a_masked_kernel_has_what_its_version_had_and_no_more() {
        let old = asked((5, 15));
        assert!(old.has(MultishotPoll) && old.has_opcode(opcode::LinkAt::CODE));
        for (feature, since) in FEATURES {
            assert!(since <= (5, 15) || !old.has(feature), "{feature:?}");
        }
        for code in opcode::MsgRingData::CODE..u64::BITS as u8 {
            assert!(!old.has_opcode(code), "{code}");
        }
        let six_one = asked((6, 1));
        assert!(six_one.has(CooperativeTaskrun) && six_one.has(MultishotReceive));
        assert!(six_one.has_opcode(opcode::SendMsgZc::CODE));
        assert!(!six_one.has_opcode(opcode::Ftruncate::CODE) && !six_one.has(RinglessMessage));
    }

    /// Mutant: a set of flags is left out because a flag of another set is masked.
    #[test]
    fn a_newer_mask_takes_nothing_away_that_an_older_one_leaves() {
        let between = asked((5, 18));
        assert_eq!(between.has(SubmitAll), asked(LATEST).has(SubmitAll));
        let mut masks = KERNELS.to_vec();
        masks.push(LATEST);
        for pair in masks.windows(2) {
            let (older, newer) = (asked(pair[0]), asked(pair[1]));
            assert_eq!(older.named & !newer.named, 0, "{pair:?}");
            assert_eq!(older.opcodes & !newer.opcodes, 0, "{pair:?}");
        }
    }

    /// Mutant: `check` does not ask for the opcodes of the oldest kernel.
    #[test]
    fn a_kernel_that_is_too_old_is_refused_by_name() {
        let refused = Features::ask((5, 14)).expect_err("5.14 is too old");
        assert!(refused.to_string().contains("Linux 5.15"), "{refused}");
    }

    #[test]
    fn the_tables_are_in_the_order_of_versions() {
        assert!(FEATURES.is_sorted_by_key(|(_, since)| *since));
        assert!(OPCODES.is_sorted());
        assert!(OPCODES.is_sorted_by_key(|(_, since)| *since));
        assert_eq!(opcode_version(opcode::Ftruncate::CODE), (6, 9));
        assert_eq!(opcode_version(opcode::Listen::CODE), (6, 11));
    }
}

//! What is asked for, by how many connections, and what is promised of it.

/// What one request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// A file of so many bytes.
    File { name: &'static str, bytes: u64 },
    /// One of the many small files, at random.
    Mix,
}

/// All files that are asked for by themselves. The names are also those of the files.
pub(super) const FILES: [(&str, u64); 5] = [
    ("200B", 200),
    ("4KiB", 4 << 10),
    ("64KiB", 64 << 10),
    ("1MiB", 1 << 20),
    ("100MiB", 100 << 20),
];

const CONNECTIONS: [u32; 3] = [1, 64, 512];

/// Bytes from which on requests are counted by the bytes received: few of them end within a run.
const COUNTED_BY_BYTES: u64 = 1 << 20;

/// One row of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Case {
    pub(super) what: What,
    pub(super) connections: u32,
}

pub(super) fn all() -> impl Iterator<Item = Case> {
    let files = FILES.map(|(name, bytes)| What::File { name, bytes });
    let whats = files.into_iter().chain([What::Mix]);
    whats.flat_map(|what| CONNECTIONS.map(|connections| Case { what, connections }))
}

impl Case {
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.what_name(), self.connections)
    }

    pub(super) fn what_name(&self) -> &'static str {
        match self.what {
            What::File { name, .. } => name,
            What::Mix => "mix",
        }
    }

    /// Bytes of a body, where requests are counted by them.
    pub(super) fn counted_bytes(&self) -> Option<u64> {
        match self.what {
            What::File { bytes, .. } if bytes >= COUNTED_BY_BYTES => Some(bytes),
            _ => None,
        }
    }

    /// The least ratio of our requests per second to the best of the others'.
    pub(super) fn promised_ratio(&self) -> f64 {
        if self.counted_bytes().is_none() && self.connections >= 64 {
            1.1
        } else {
            1.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_is_promised_of_small_bodies_over_many_connections() {
        let promised = |name: &str| {
            let case = all().find(|case| case.name() == name);
            case.expect("such a case").promised_ratio()
        };
        assert_eq!(all().count(), 18);
        for name in ["200B-64", "4KiB-512", "64KiB-64", "mix-512"] {
            assert_eq!(promised(name), 1.1, "{name}");
        }
        for name in ["200B-1", "1MiB-64", "100MiB-512", "mix-1"] {
            assert_eq!(promised(name), 1.0, "{name}");
        }
    }
}

//! What is measured of one server in one case.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Figures {
    pub(super) requests_per_second: f64,
    /// Microseconds; infinite where too few requests ended.
    pub(super) p50: f64,
    pub(super) p99: f64,
    /// Processor time of the server's processes for each request, in microseconds.
    pub(super) processor: f64,
    /// The most memory that all its processes had at a time, shared pages counted once, in MiB.
    pub(super) memory: f64,
}

impl Figures {
    /// Nothing measured yet: worse than anything that will be.
    pub(super) const UNKNOWN: Figures = Figures {
        requests_per_second: 0.0,
        p50: f64::INFINITY,
        p99: f64::INFINITY,
        processor: f64::INFINITY,
        memory: 0.0,
    };

    /// The better of each figure of two rounds; of memory the greater.
    pub(super) fn best(self, other: Figures) -> Figures {
        Figures {
            requests_per_second: self.requests_per_second.max(other.requests_per_second),
            p50: self.p50.min(other.p50),
            p99: self.p99.min(other.p99),
            processor: self.processor.min(other.processor),
            memory: self.memory.max(other.memory),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures {
            requests_per_second,
            p50,
            p99,
            processor,
            memory,
        } = self;
        write!(
            f,
            "{requests_per_second:9.1} requests/s, {processor:8.2} µs each, p50 {p50:.0} µs, p99 {p99:.0} µs, {memory:.1} MiB"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_each_figure_counts_and_the_most_memory() {
        let [slow, fast] = [(1.0, 9.0), (2.0, 7.0)].map(|(more, less)| Figures {
            requests_per_second: more,
            p50: less,
            p99: less,
            processor: less,
            memory: less,
        });
        let expected = Figures {
            memory: 9.0,
            ..fast
        };
        assert_eq!(Figures::UNKNOWN.best(slow).best(fast), expected);
        assert_eq!(fast.best(slow), expected);
    }
}

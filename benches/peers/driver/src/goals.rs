//! What has to be shown, as ratios of one run.

use std::fmt;

use peer_shapes::stats::{Summary, summary};

use crate::results::{Figure, Results, ratio};

/// One ratio that is promised.
pub(crate) struct Goal {
    pub(crate) label: &'static str,
    ours: Of,
    over: Against,
    /// At most this, or at least.
    must: Bound,
    stretch: f64,
    /// Who shows what the machine allows, the least first.
    reach: &'static [Reach],
}

/// The same figure of one who does no more than the work: the best that could be, and what a goal means
/// on this machine.
enum Reach {
    /// Compared as ours is.
    Of(&'static str),
    /// Compared with what stands beside it as ours does.
    Beside(&'static str, &'static str),
}

/// What our figure is compared with.
enum Against {
    /// As a ratio.
    Over(Of),
    /// By what is added to it.
    Beyond(Of),
    /// With nothing.
    Itself,
}

/// A figure of a server in a work.
struct Of(&'static str, &'static str, Figure);

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

use Against::{Beyond, Itself, Over};
use Bound::{AtLeast, AtMost};
use Figure::{Cpu, Memory, MemoryAfter, P50, P99, P99Slowed, Throughput};

const OURS: &str = "ours/ws/edn";
const SIO: &str = "socketioxide";
const ROOM: &str = "ours/ws/edn/room";

/// All of them, in the order of the page.
pub(crate) const GOALS: &[Goal] = &[
    Goal {
        label: "ping-pong p50, 100 B, against tungstenite with 4 KiB buffers",
        ours: Of("ping-pong-100B", OURS, P50),
        over: Over(Of("ping-pong-100B", "tungstenite-4k", P50)),
        must: AtMost(1.10),
        stretch: 1.0,
        reach: &[Reach::Of("raw-epoll"), Reach::Of("batch-json")],
    },
    Goal {
        label: "the same against socketioxide",
        ours: Of("ping-pong-100B", OURS, P50),
        over: Over(Of("ping-pong-100B", SIO, P50)),
        must: AtMost(0.80),
        stretch: 0.70,
        reach: &[Reach::Of("raw-epoll"), Reach::Of("batch-json")],
    },
    Goal {
        label: "throughput, window 64, 100 B, against socketioxide",
        ours: Of("window-64", OURS, Throughput),
        over: Over(Of("window-64", SIO, Throughput)),
        must: AtLeast(5.0),
        stretch: 6.5,
        reach: &[Reach::Of("raw-epoll"), Reach::Of("batch-json")],
    },
    Goal {
        label: "throughput, window 1024, 100 B, against socketioxide",
        ours: Of("window-1024", OURS, Throughput),
        over: Over(Of("window-1024", SIO, Throughput)),
        must: AtLeast(8.0),
        stretch: 10.0,
        reach: &[Reach::Of("raw-epoll"), Reach::Of("batch-json")],
    },
    Goal {
        label: "throughput, window 64, 1 KB, against socketioxide",
        ours: Of("window-64-1KB", OURS, Throughput),
        over: Over(Of("window-64-1KB", SIO, Throughput)),
        must: AtLeast(6.0),
        stretch: 8.0,
        reach: &[Reach::Of("raw-epoll"), Reach::Of("batch-json")],
    },
    Goal {
        label: "throughput, window 4, 64 KB, against socketioxide",
        ours: Of("window-4-64KB", OURS, Throughput),
        over: Over(Of("window-4-64KB", SIO, Throughput)),
        must: AtLeast(6.0),
        stretch: 15.0,
        reach: &[Reach::Of("raw-epoll"), Reach::Of("batch-json")],
    },
    Goal {
        label: "throughput, 100 connections, window 10, against socketioxide",
        ours: Of("connections-100-window-10", OURS, Throughput),
        over: Over(Of("connections-100-window-10", SIO, Throughput)),
        must: AtLeast(4.0),
        stretch: 5.0,
        reach: &[Reach::Of("raw-epoll"), Reach::Of("batch-json")],
    },
    Goal {
        label: "p99 of the same",
        ours: Of("connections-100-window-10", OURS, P99),
        over: Over(Of("connections-100-window-10", SIO, P99)),
        must: AtMost(0.3),
        stretch: 0.15,
        reach: &[Reach::Of("raw-epoll"), Reach::Of("batch-json")],
    },
    Goal {
        label: "stdio child, ping-pong p50, against a raw pipe echo",
        ours: Of("child-ping-pong", "ours/stdio/edn", P50),
        over: Over(Of("child-ping-pong", "stdio-raw", P50)),
        must: AtMost(1.5),
        stretch: 1.3,
        reach: &[Reach::Of("stdio-raw-tokio"), Reach::Of("stdio-batch")],
    },
    Goal {
        label: "stdio child, window 64, server CPU, against async-lsp",
        ours: Of("child-window-64", "ours/stdio/edn", Cpu),
        over: Over(Of("child-window-64", "stdio-async-lsp", Cpu)),
        must: AtMost(1.0 / 9.0),
        stretch: 1.0 / 20.0,
        reach: &[Reach::Of("stdio-raw"), Reach::Of("stdio-batch")],
    },
    Goal {
        label: "Unix socket p50, against our TCP",
        ours: Of("transports-ping-pong", "ours/unix/edn", P50),
        over: Over(Of("transports-ping-pong", "ours/tcp/edn", P50)),
        must: AtMost(0.75),
        stretch: 0.70,
        reach: &[Reach::Beside("raw-epoll/unix", "raw-epoll")],
    },
    Goal {
        label: "fan-out of 200 B to 10,000, server CPU, against prepared bytes",
        ours: Of("fan-out-10k", ROOM, Cpu),
        over: Over(Of("fan-out-10k", "bc-floor", Cpu)),
        must: AtMost(1.25),
        stretch: 1.12,
        reach: &[Reach::Of("bc-batch")],
    },
    Goal {
        label: "the same against socketioxide",
        ours: Of("fan-out-10k", ROOM, Cpu),
        over: Over(Of("fan-out-10k", SIO, Cpu)),
        must: AtMost(1.0 / 2.2),
        stretch: 1.0 / 2.6,
        reach: &[Reach::Of("bc-floor"), Reach::Of("bc-batch")],
    },
    Goal {
        label: "burst of 10 to 1,000, server CPU, against socketioxide",
        ours: Of("burst-1k", ROOM, Cpu),
        over: Over(Of("burst-1k", SIO, Cpu)),
        must: AtMost(1.0 / 3.0),
        stretch: 1.0 / 3.5,
        reach: &[Reach::Of("bc-floor"), Reach::Of("bc-batch")],
    },
    Goal {
        label: "memory a second after a burst, over idle",
        ours: Of("burst-1k", ROOM, MemoryAfter),
        over: Over(Of("burst-1k", ROOM, Memory)),
        must: AtMost(1.3),
        stretch: 1.1,
        reach: &[Reach::Beside("bc-batch", "bc-batch")],
    },
    Goal {
        label: "server CPU per delivery at 19,000, over that at 1,000",
        ours: Of("fan-out-19k", ROOM, Cpu),
        over: Over(Of("fan-out-1k", ROOM, Cpu)),
        must: AtMost(1.3),
        stretch: 1.1,
        reach: &[
            Reach::Beside("bc-floor", "bc-floor"),
            Reach::Beside("bc-batch", "bc-batch"),
        ],
    },
    Goal {
        label: "1 KB MessagePack over 1 KB JSON, typed handlers, throughput",
        ours: Of("typed-window-64-1KB", "ours/ws/msgpack/typed", Throughput),
        over: Over(Of("typed-window-64-1KB", "ours/ws/json/typed", Throughput)),
        must: AtLeast(1.5),
        stretch: 2.0,
        reach: &[Reach::Beside("batch-msgpack/typed", "batch-json/typed")],
    },
    Goal {
        label: "µs that coalescing adds to a ping-pong's p50, over one frame in each write",
        ours: Of("coalescing-ping-pong", OURS, P50),
        over: Beyond(Of("coalescing-ping-pong", "ours/ws/edn/each-alone", P50)),
        must: AtMost(0.3),
        stretch: 0.0,
        reach: &[Reach::Beside("batch-json", "batch-json/each-alone")],
    },
    Goal {
        label: "idle memory of a connection in a channel, KiB, 10,000 connections",
        ours: Of("fan-out-10k", ROOM, Memory),
        over: Itself,
        must: AtMost(2.5),
        stretch: 1.5,
        reach: &[Reach::Of("bc-floor"), Reach::Of("bc-batch")],
    },
    Goal {
        label: "bystanders' p99 while one reader stops, over before",
        ours: Of("slow-reader", ROOM, P99Slowed),
        over: Over(Of("slow-reader", ROOM, P99)),
        must: AtMost(1.1),
        stretch: 1.0,
        reach: &[Reach::Beside("bc-batch", "bc-batch")],
    },
];

/// Whether a goal is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Stretch,
    Met,
    NotMet,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stretch => "stretch",
            Self::Met => "met",
            Self::NotMet => "**not met**",
        })
    }
}

impl Of {
    /// Its rounds, and how their median is shown.
    fn rounds<'a>(&self, results: &'a Results) -> Option<(&'a [f64], String)> {
        let Self(work, server, figure) = self;
        let rounds = results.work(work)?.row(server)?.figures.get(figure)?;
        Some((rounds, figure.show(summary(rounds).median)))
    }
}

impl Reach {
    /// Its name, its figure, and what that is compared with, if with anything.
    fn figures(&self, goal: &Goal) -> (&'static str, (Of, Option<Of>)) {
        let Of(work, _, figure) = goal.ours;
        let other = match (&goal.over, self) {
            (Itself, _) => None,
            (Over(of) | Beyond(of), Self::Of(_)) => Some(Of(of.0, of.1, of.2)),
            (Over(of) | Beyond(of), Self::Beside(_, other)) => Some(Of(of.0, other, of.2)),
        };
        let (Self::Of(name) | Self::Beside(name, _)) = *self;
        (name, (Of(work, name, figure), other))
    }
}

impl Goal {
    /// Ours, the peer's, and what came of the two; `None` if they were not measured.
    pub(crate) fn measured(&self, results: &Results) -> Option<(String, String, Summary)> {
        let (ours, shown) = self.ours.rounds(results)?;
        let (other, of) = match &self.over {
            Over(of) | Beyond(of) => (of.rounds(results)?, of),
            Itself => return Some((shown, String::new(), summary(ours))),
        };
        let compared = self.compared(ours, other.0)?;
        let theirs = if of.1 == self.ours.1 && of.0 == self.ours.0 {
            format!("{} {}", of.2.head(), other.1)
        } else {
            format!("{} {}", of.1, other.1)
        };
        Some((shown, theirs, compared))
    }

    /// As the goal compares them, round by round.
    fn compared(&self, one: &[f64], other: &[f64]) -> Option<Summary> {
        match self.over {
            Over(_) => ratio(one, other),
            _ => {
                let pairs = one.iter().zip(other);
                let differences: Vec<f64> = pairs.map(|(one, other)| one - other).collect();
                Some(summary(&differences))
            }
        }
    }

    /// Who shows what the machine allows, and the median of what came of each; of those that were
    /// measured.
    pub(crate) fn reached(&self, results: &Results) -> Vec<(&'static str, f64)> {
        let each = self.reach.iter().filter_map(|reach| {
            let (name, (one, other)) = reach.figures(self);
            let one = one.rounds(results)?.0;
            let summary = match other {
                None => summary(one),
                Some(other) => self.compared(one, other.rounds(results)?.0)?,
            };
            Some((name, summary.median))
        });
        each.collect()
    }

    /// Who came nearest, where not even that one reaches what must be.
    pub(crate) fn out_of_reach(&self, results: &Results) -> Option<&'static str> {
        let reached = self.reached(results);
        let better = |one: &f64, other: &f64| match self.must {
            AtLeast(_) => other.total_cmp(one),
            AtMost(_) => one.total_cmp(other),
        };
        let (name, best) = reached
            .iter()
            .min_by(|one, other| better(&one.1, &other.1))?;
        (self.verdict(*best) == Verdict::NotMet).then_some(*name)
    }

    /// Whether it is about the slowest replies, and other programs were in the way of so many that
    /// nothing is said of the server.
    pub(crate) fn disturbed(&self, results: &Results) -> bool {
        let Over(of) = &self.over else { return false };
        self.figure() == P99
            && [&self.ours, of].into_iter().any(|Of(work, server, _)| {
                let row = results.work(work).and_then(|work| work.row(server));
                let left_out = row.and_then(|row| row.summary(Figure::LeftOut));
                left_out.is_some_and(|share| share.median >= 100.0)
            })
    }

    pub(crate) fn figure(&self) -> Figure {
        self.ours.2
    }

    pub(crate) fn bounds(&self) -> (String, String) {
        let sign = match self.must {
            AtLeast(_) => "≥",
            AtMost(_) => "≤",
        };
        let (AtLeast(must) | AtMost(must)) = self.must;
        (
            format!("{sign} {must:.2}"),
            format!("{sign} {:.2}", self.stretch),
        )
    }

    /// By the median.
    pub(crate) fn verdict(&self, ratio: f64) -> Verdict {
        let (stretch, must) = match self.must {
            AtLeast(must) => (ratio >= self.stretch, ratio >= must),
            AtMost(must) => (ratio <= self.stretch, ratio <= must),
        };
        if stretch {
            Verdict::Stretch
        } else if must {
            Verdict::Met
        } else {
            Verdict::NotMet
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Measured, Row};
    use crate::works::works;

    #[test]
    fn every_goal_is_about_what_is_measured() {
        let works = works();
        for goal in GOALS {
            let other = match &goal.over {
                Over(of) | Beyond(of) => of,
                Itself => &goal.ours,
            };
            let reached = goal.reach.iter().map(|reach| reach.figures(goal).1);
            let reached: Vec<Of> = reached
                .flat_map(|(one, other)| [Some(one), other])
                .flatten()
                .collect();
            for Of(work, server, _) in [&goal.ours, other].into_iter().chain(&reached) {
                let work = works.iter().find(|known| known.name == *work);
                let servers = work.expect(goal.label).servers();
                assert!(servers.contains(server), "{}: {server}", goal.label);
            }
        }
    }

    fn ping_pong(of: &[(&str, f64)]) -> Results {
        let row = |(server, number): &(&str, f64)| {
            let mut row = Row::new(server);
            row.add(&[(P50, *number)]);
            row
        };
        let measured = Measured {
            name: "ping-pong-100B".to_owned(),
            rows: of.iter().map(row).collect(),
            ..Measured::default()
        };
        Results {
            works: vec![measured],
            ..Results::default()
        }
    }

    #[test]
    fn a_goal_is_out_of_reach_where_even_the_best_misses_it() {
        let goal = &GOALS[1];
        let mut of = vec![(OURS, 12.0), (SIO, 10.0), ("raw-epoll", 8.5)];
        assert_eq!(goal.reached(&ping_pong(&of)), [("raw-epoll", 0.85)]);
        assert_eq!(goal.out_of_reach(&ping_pong(&of)), Some("raw-epoll"));
        of.push(("batch-json", 7.5));
        let reached = [("raw-epoll", 0.85), ("batch-json", 0.75)];
        assert_eq!(goal.reached(&ping_pong(&of)), reached);
        assert_eq!(goal.out_of_reach(&ping_pong(&of)), None);
        // Nobody was measured who could tell.
        assert_eq!(goal.out_of_reach(&ping_pong(&of[..2])), None);
    }

    #[test]
    fn a_p99_that_others_were_in_the_way_of_says_nothing() {
        let results = |left_out| {
            let mut row = Row::new(OURS);
            row.add(&[(P99, 1.0), (Figure::LeftOut, left_out)]);
            let mut results = ping_pong(&[]);
            results.works[0].rows = vec![row];
            results
        };
        let of = || Of("ping-pong-100B", OURS, P99);
        let goal = |ours| Goal {
            label: "",
            ours,
            over: Over(of()),
            must: AtMost(1.0),
            stretch: 1.0,
            reach: &[],
        };
        assert!(goal(of()).disturbed(&results(100.0)));
        assert!(!goal(of()).disturbed(&results(97.5)));
        assert!(!GOALS[0].disturbed(&results(100.0)));
    }

    #[test]
    fn a_verdict_knows_which_way_is_better() {
        assert_eq!(GOALS[0].verdict(1.05), Verdict::Met);
        assert_eq!(GOALS[0].verdict(1.2), Verdict::NotMet);
        assert_eq!(GOALS[2].verdict(7.0), Verdict::Stretch);
        assert_eq!(GOALS[2].verdict(4.9), Verdict::NotMet);
    }
}

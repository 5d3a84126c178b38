//! One picture for each work: a bar for each server as long as its median, with a line from the least to
//! the most, over a scale.

use svg::Document;
use svg::node::element::{Line, Rectangle, Text};

use crate::results::{Figure, Measured};

const WIDTH: f64 = 760.0;
const NAMES: f64 = 190.0;
const ROOM: f64 = 430.0;
const ROW: f64 = 24.0;
const TOP: f64 = 72.0;
const BOTTOM: f64 = 24.0;

/// The figure of all servers, the shortest bar the least. `None` if nobody has it.
pub(crate) fn plot(work: &Measured, figure: Figure) -> Option<Document> {
    let bars: Vec<_> = work
        .rows
        .iter()
        .filter_map(|row| Some((row.server.as_str(), row.summary(figure)?)))
        .filter(|(_, summary)| summary.least > 0.0)
        .collect();
    let least = bars.iter().map(|(_, it)| it.least).fold(f64::MAX, f64::min);
    let most = bars.iter().map(|(_, it)| it.most).fold(0.0, f64::max);
    if bars.is_empty() {
        return None;
    }
    let scale = Scale::of(least, most);
    let height = ROW.mul_add(bars.len() as f64, TOP) + BOTTOM;
    let mut picture = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(rectangle(0.0, 0.0, WIDTH, height, "#ffffff"))
        .add(words(8.0, 20.0, &work.title).set("font-weight", "bold"))
        .add(words(8.0, 38.0, &caption(figure, scale.logarithmic)));
    let mut at = 8.0;
    for kind in [Kind::Ours, Kind::Library, Kind::Floor] {
        if bars.iter().any(|(server, _)| Kind::of(server) == kind) {
            picture = picture
                .add(rectangle(at, 47.0, 10.0, 10.0, kind.fill()))
                .add(words(at + 15.0, 56.0, kind.name()));
            at += 150.0;
        }
    }
    let foot = height - BOTTOM;
    for tick in scale.ticks() {
        let x = round(NAMES + scale.place(tick));
        picture = picture
            .add(line((x, TOP - 4.0), (x, foot), "#dde2e7"))
            .add(words(x, foot + 14.0, &figure.tick(tick)).set("text-anchor", "middle"));
    }
    for (at, (server, summary)) in bars.iter().enumerate() {
        let top = ROW.mul_add(at as f64, TOP);
        let middle = top + ROW / 2.0 - 2.0;
        let [end, short, long] =
            [summary.median, summary.least, summary.most].map(|number| NAMES + scale.place(number));
        let fill = Kind::of(server).fill();
        picture = picture
            .add(words(8.0, middle + 4.0, server))
            .add(rectangle(NAMES, top, round(end - NAMES), ROW - 6.0, fill))
            .add(line(
                (round(short), middle),
                (round(long), middle),
                "#202020",
            ));
        for x in [short, long] {
            let x = round(x);
            picture = picture.add(line((x, middle - 3.0), (x, middle + 3.0), "#202020"));
        }
        // White behind it, where a line of the scale would cross it.
        picture = picture.add(
            words(
                round(long + 6.0),
                middle + 4.0,
                &figure.show(summary.median),
            )
            .set("stroke", "#ffffff")
            .set("stroke-width", 3)
            .set("paint-order", "stroke"),
        );
    }
    Some(picture)
}

/// What the bars are, and how they are read.
fn caption(figure: Figure, logarithmic: bool) -> String {
    let what = match figure {
        Figure::Cpu => "Server CPU for each message, ns",
        Figure::Rate => "Messages in a second",
        _ => figure.head(),
    };
    let scale = if logarithmic { ", logarithmic" } else { "" };
    let better = if figure == Figure::Rate {
        "more"
    } else {
        "less"
    };
    format!("{what}{scale}; {better} is better; line: from the least to the most of the rounds")
}

/// Whose server it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ours,
    Library,
    Floor,
}

impl Kind {
    fn of(server: &str) -> Self {
        let floors = [
            "raw-",
            "batch-",
            "bc-floor",
            "bc-batch",
            "stdio-raw",
            "stdio-batch",
        ];
        if server.starts_with("ours/") {
            Self::Ours
        } else if floors.iter().any(|floor| server.starts_with(floor)) {
            Self::Floor
        } else {
            Self::Library
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Library => "other libraries",
            Self::Floor => "the system's floor, and the prototype",
        }
    }

    const fn fill(self) -> &'static str {
        match self {
            Self::Ours => "#2a6fb0",
            Self::Library => "#a9b4c0",
            Self::Floor => "#e3d5b0",
        }
    }
}

/// Where a number is.
struct Scale {
    from: f64,
    most: f64,
    logarithmic: bool,
}

impl Scale {
    /// From zero, or on a logarithmic scale where they differ much from half the least.
    fn of(least: f64, most: f64) -> Self {
        let logarithmic = most / least > 20.0;
        Self {
            from: if logarithmic { least / 2.0 } else { 0.0 },
            most,
            logarithmic,
        }
    }

    fn place(&self, number: f64) -> f64 {
        if self.logarithmic {
            (number / self.from).ln() / (self.most / self.from).ln() * ROOM
        } else {
            number / self.most * ROOM
        }
    }

    /// A few round numbers.
    fn ticks(&self) -> Vec<f64> {
        if self.logarithmic {
            let (first, last) = (self.from.log10().floor(), self.most.log10().ceil());
            let decades = (first as i32..=last as i32).map(|power| 10_f64.powi(power));
            let steps: &[f64] = if last - first > 3.0 {
                &[1.0]
            } else {
                &[1.0, 3.0]
            };
            let all = decades.flat_map(|decade| steps.iter().map(move |step| step * decade));
            return all
                .filter(|tick| (self.from..=self.most).contains(tick))
                .collect();
        }
        let decade = 10_f64.powf((self.most / 5.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
        let step = steps.into_iter().find(|step| self.most / step <= 6.0);
        let step = step.unwrap_or(decade);
        let count = (self.most / step).floor() as u32;
        (0..=count).map(|tick| f64::from(tick) * step).collect()
    }
}

fn rectangle(x: f64, y: f64, width: f64, height: f64, fill: &str) -> Rectangle {
    Rectangle::new()
        .set("x", x)
        .set("y", y)
        .set("width", width)
        .set("height", height)
        .set("fill", fill)
}

fn line(from: (f64, f64), to: (f64, f64), stroke: &str) -> Line {
    Line::new()
        .set("x1", from.0)
        .set("y1", from.1)
        .set("x2", to.0)
        .set("y2", to.1)
        .set("stroke", stroke)
}

fn words(x: f64, y: f64, words: &str) -> Text {
    Text::new(words).set("x", x).set("y", y)
}

fn round(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Row;

    #[test]
    fn a_plot_has_a_bar_for_each_server() {
        let row = |server: &str, number| {
            let mut row = Row::new(server);
            row.add(&[(Figure::Cpu, number)]);
            row
        };
        let work = Measured {
            name: "a".to_owned(),
            title: "One < two".to_owned(),
            against: "x".to_owned(),
            rows: vec![row("x", 10.0), row("ours/ws/edn", 1000.0)],
            ..Measured::default()
        };
        let picture = plot(&work, Figure::Cpu).unwrap().to_string();
        // Of the picture, of the legend, of the bars.
        assert_eq!(picture.matches("<rect").count(), 1 + 2 + 2);
        assert!(picture.contains("ours/ws/edn") && picture.contains("logarithmic"));
        assert!(picture.contains("One &lt; two"), "{picture}");
        assert!(plot(&work, Figure::Last).is_none());
    }

    #[test]
    fn a_scale_has_a_few_round_numbers() {
        let ticks = |least, most| Scale::of(least, most).ticks();
        assert_eq!(
            ticks(500.0, 1100.0),
            [0.0, 200.0, 400.0, 600.0, 800.0, 1000.0]
        );
        assert_eq!(ticks(0.8, 4.0), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(ticks(111.0, 8500.0), [100.0, 300.0, 1000.0, 3000.0]);
        assert_eq!(ticks(9.0, 90_000.0), [10.0, 100.0, 1000.0, 10_000.0]);
    }
}

//! One picture for each work: a bar for each server, from the least to the most behind the median.

use svg::Document;
use svg::node::element::{Line, Rectangle, Text};

use crate::results::{Figure, Measured};

const WIDTH: f64 = 760.0;
const NAMES: f64 = 190.0;
const ROOM: f64 = 430.0;
const ROW: f64 = 24.0;
const TOP: f64 = 48.0;

/// The figure of all servers, the shortest bar the least. On a logarithmic scale where they differ
/// much. `None` if nobody has it.
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
    let logarithmic = most / least > 20.0;
    let from = least / 2.0;
    let place = |number: f64| {
        if logarithmic {
            (number / from).ln() / (most / from).ln() * ROOM
        } else {
            number / most * ROOM
        }
    };
    let height = TOP + ROW * bars.len() as f64 + 8.0;
    let scale = if logarithmic { ", logarithmic" } else { "" };
    let mut picture = Document::new()
        .set("viewBox", (0.0, 0.0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("font-family", "sans-serif")
        .set("font-size", 12)
        .add(
            Rectangle::new()
                .set("width", WIDTH)
                .set("height", height)
                .set("fill", "#ffffff"),
        )
        .add(words(8.0, 20.0, &work.title).set("font-weight", "bold"))
        .add(words(8.0, 38.0, &format!("{}{scale}", figure.head())));
    for (at, (server, summary)) in bars.iter().enumerate() {
        let top = ROW.mul_add(at as f64, TOP);
        let middle = top + ROW / 2.0 - 2.0;
        let fill = if server.starts_with("ours/") {
            "#2a6fb0"
        } else {
            "#a9b4c0"
        };
        let [end, short, long] =
            [summary.median, summary.least, summary.most].map(|number| NAMES + place(number));
        picture = picture
            .add(words(8.0, middle + 4.0, server))
            .add(
                Rectangle::new()
                    .set("x", NAMES)
                    .set("y", top)
                    .set("width", round(end - NAMES))
                    .set("height", ROW - 6.0)
                    .set("fill", fill),
            )
            .add(
                Line::new()
                    .set("x1", round(short))
                    .set("x2", round(long))
                    .set("y1", middle)
                    .set("y2", middle)
                    .set("stroke", "#303030"),
            )
            .add(words(
                round(long + 6.0),
                middle + 4.0,
                &figure.show(summary.median),
            ));
    }
    Some(picture)
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
        assert_eq!(picture.matches("<line").count(), 2);
        assert!(picture.contains("ours/ws/edn") && picture.contains("logarithmic"));
        assert!(picture.contains("One &lt; two"), "{picture}");
        assert!(plot(&work, Figure::Last).is_none());
    }
}

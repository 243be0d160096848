//! The comparison of servers as pictures beside docs/BENCHMARKS.md.

use plotters::prelude::*;

use super::Comparison;
use super::case::Case;
use super::figures::Figures;
use crate::chore::{Result, root};

/// Of each picture: its file, its title, and the figure of a server in a case.
type Picture = (&'static str, &'static str, fn(&Figures) -> f64);

const PICTURES: [Picture; 2] = [
    (
        "bench-http-requests.svg",
        "requests per second with 64 connections, as a part of the best",
        |figures| figures.requests_per_second,
    ),
    (
        "bench-http-processor.svg",
        "processor time per request with 64 connections, as a part of the most",
        |figures| figures.processor,
    ),
];

/// The rows of the comparison that are drawn.
const CONNECTIONS: u32 = 64;

const SIZE: (u32, u32) = (960, 420);

/// The part of a case's room that its bars fill.
const FILLED: f64 = 0.84;

/// One colour for each server, told apart also by who does not see red or green.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(240, 200, 120),
    RGBColor(130, 205, 180),
    RGBColor(150, 150, 150),
];

/// The lines of the document that show the pictures.
pub(super) fn links() -> String {
    let links = PICTURES.map(|(file, title, _)| format!("![{title}]({file})\n"));
    links.join("\n")
}

pub(super) fn write(comparison: &Comparison) -> Result<()> {
    for (file, title, read) in PICTURES {
        let mut picture = String::new();
        draw(comparison, title, read, &mut picture).map_err(|error| format!("{file}: {error}"))?;
        let path = root().join("docs").join(file);
        std::fs::write(&path, picture).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(())
}

/// Draws a group of bars for each case, each as a part of the group's greatest.
fn draw(
    comparison: &Comparison,
    title: &str,
    read: fn(&Figures) -> f64,
    picture: &mut String,
) -> std::result::Result<(), Box<dyn std::error::Error>> {
    let rows = drawn_rows(comparison);
    let area = SVGBackend::with_string(picture, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&area)
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(44)
        .build_cartesian_2d(0.0..rows.len() as f64, 0.0..1.25)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(6)
        .draw()?;
    let bar = FILLED / comparison.servers.len() as f64;
    for (place, (rival, figures)) in comparison.servers.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let bars = rows.iter().enumerate().map(|(group, (row, _))| {
            let most = comparison
                .servers
                .iter()
                .map(|(_, figures)| read(&figures[*row]));
            let most = most.fold(f64::MIN_POSITIVE, f64::max);
            let left = group as f64 + (1.0 - FILLED) / 2.0 + bar * place as f64;
            let top = read(&figures[*row]) / most;
            Rectangle::new([(left, 0.0), (left + bar * 0.92, top)], colour.filled())
        });
        chart
            .draw_series(bars)?
            .label(rival.name)
            .legend(move |(x, y)| Rectangle::new([(x, y - 5), (x + 12, y + 5)], colour.filled()));
    }
    let names = rows.iter().enumerate().map(|(group, (_, case))| {
        let place = (group as f64 + 0.4, -0.03);
        Text::new(case.what_name(), place, ("sans-serif", 14))
    });
    chart.plotting_area().strip_coord_spec();
    for name in names {
        chart.plotting_area().draw(&name)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()?;
    area.present()?;
    Ok(())
}

fn drawn_rows(comparison: &Comparison) -> Vec<(usize, Case)> {
    let rows = comparison.cases.iter().copied().enumerate();
    rows.filter(|(_, case)| case.connections == CONNECTIONS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{case, rivals};

    #[test]
    fn a_picture_names_every_server_and_every_file() {
        let figures = Figures {
            requests_per_second: 5.0,
            processor: 5.0,
            ..Figures::UNKNOWN
        };
        let cases: Vec<Case> = case::all().collect();
        let servers = rivals::ALL.map(|rival| (rival, vec![figures; cases.len()]));
        let comparison = Comparison {
            cases,
            servers: servers.to_vec(),
            versions: String::new(),
            how: String::new(),
        };
        let mut picture = String::new();
        draw(
            &comparison,
            "title",
            |figures| figures.processor,
            &mut picture,
        )
        .unwrap();
        for name in [
            "ringway",
            "nginx-cache",
            "lighttpd-safe",
            "200B",
            "100MiB",
            "mix",
        ] {
            assert!(picture.contains(name), "{name}: {picture}");
        }
    }
}

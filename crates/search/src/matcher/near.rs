//! Distances on the globe.

/// Mean radius of the earth, in metres (IUGG: (2a + b) / 3 of WGS84).
const EARTH_RADIUS_METRES: f64 = 6_371_008.8;

/// Great-circle distance between two positions (latitude and longitude in degrees), in metres, by the haversine formula.
pub fn distance_metres(from: (f64, f64), to: (f64, f64)) -> f64 {
    let half_sine_squared = |degrees: f64| (degrees.to_radians() / 2.0).sin().powi(2);
    let (latitude, other) = (from.0.to_radians(), to.0.to_radians());
    let chord = half_sine_squared(to.0 - from.0) + latitude.cos() * other.cos() * half_sine_squared(to.1 - from.1);
    2.0 * EARTH_RADIUS_METRES * chord.clamp(0.0, 1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_sphere() {
        let quarter = EARTH_RADIUS_METRES * std::f64::consts::FRAC_PI_2;
        assert!((distance_metres((0.0, 0.0), (90.0, 0.0)) - quarter).abs() < 1.0);
        assert!((distance_metres((0.0, 179.5), (0.0, -179.5)) - quarter / 90.0).abs() < 1.0, "across the date line");
        // Paris to Lyon, some 392 km.
        let distance = distance_metres((48.8566, 2.3522), (45.764, 4.8357));
        assert!((391_000.0..393_000.0).contains(&distance), "{distance}");
        assert_eq!(distance_metres((10.0, 20.0), (10.0, 20.0)), 0.0);
    }
}

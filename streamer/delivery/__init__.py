"""Alert delivery: one alert state shared by all servers; sending, acknowledging and silencing."""

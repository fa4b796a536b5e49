"""Running a center: the doctor, rebuilding and comparing, forgetting a customer."""

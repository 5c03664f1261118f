module example.invalid/live

go 1.19

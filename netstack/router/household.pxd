# compiled as it is: each new flow comes by

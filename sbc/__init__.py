"""SBC devices, sites and dial plans. The room is empty until its first capability is built."""

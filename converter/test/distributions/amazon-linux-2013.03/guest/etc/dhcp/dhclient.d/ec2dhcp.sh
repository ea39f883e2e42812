# sourced by dhclient-script
ec2dhcp_config() { :; }
ec2dhcp_restore() { :; }

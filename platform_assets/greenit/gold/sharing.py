"""Sharing what a host does among virtual machines and applications (formula A3 of docs/method.md).

What belongs here: keys, shares and the remainder. What does not: impacts of the host.
"""
import ibis.expr.types as ir


def share_of(size: ir.NumericValue, total: ir.NumericValue) -> ir.NumericValue:
    """Part of a whole, 0 to 1: vCPU of vCPUs, GB of GBs. NULL where a size is not known or the whole is 0, never a guess."""
    return size / total.nullif(0)


def allocated(parent: ir.NumericValue, share: ir.NumericValue) -> ir.NumericValue:
    """What a child carries of its parent, in the parent's unit."""
    return parent * share


def unallocated(parent: ir.NumericValue, allocated_sum: ir.NumericValue) -> ir.NumericValue:
    """What no child carries: children and this are the parent. Shares of the host's capacity leave it (rightsizing), shares of the sum do not."""
    return parent - allocated_sum


def equal_share(parent: ir.NumericValue, children: ir.NumericValue) -> ir.NumericValue:
    """Parent / number of children: applications on one machine, where no better key is known. NULL without children."""
    return parent / children.nullif(0)

"""Routes of the calls for OVOC-style callers, below /api/tenantui/api/."""

from django.urls import path

from api import ovoc

SITE = "v2/customer/<uuid:uid>/sitelocation"

urlpatterns = [
    path("v3/customer", ovoc.Customers.as_view(), name="ovoc-customers"),
    path("v3/customer/<uuid:uid>", ovoc.Customer.as_view(), name="ovoc-customer"),
    path("v2/customer", ovoc.NewCustomer.as_view(), name="ovoc-customer-new"),
    path("v2/customer/<uuid:uid>", ovoc.ShortCustomer.as_view(), name="ovoc-customer-short"),
    path(f"{SITE}/", ovoc.NewSite.as_view(), name="ovoc-site-new"),
    path(f"{SITE}/<uuid:site_id>/dialplan/<str:plan>", ovoc.DialPlan.as_view(), name="ovoc-dial-plan"),
    path("v2/sitelocation/<uuid:site_id>", ovoc.OneSite.as_view(), name="ovoc-site"),
    path("v2/scripttemplates", ovoc.Scripts.as_view(), name="ovoc-scripts"),
    path("v2/task/<int:number>", ovoc.Task.as_view(), name="ovoc-task"),
]
